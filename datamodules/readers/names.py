"""What file names say: which are images and videos, their natural order, their numbers."""

from __future__ import annotations

import os
import re
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".wmv", ".gif"})


def natural_key(path: Path | str) -> list[int | str]:
    """Sort key that puts ``frame_2`` before ``frame_10``.

    Args:
        path: A path or a name; only the last component counts.

    Returns:
        Text and number in turn, text first, so that like is compared with like.
    """
    name = path.name if isinstance(path, Path) else os.path.basename(path)
    return [int(part) if at % 2 else part for at, part in enumerate(re.split(r"(\d+)", name.lower()))]


def frame_number(stem: str) -> int | None:
    """The last number in a file name, or None: ``frame_000012`` gives 12."""
    digits = re.findall(r"\d+", stem)
    return int(digits[-1]) if digits else None


def is_image(path: Path | str) -> bool:
    """Whether the file name is that of an image."""
    name = os.path.basename(path)
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")


def is_video(path: Path) -> bool:
    """Whether the file name is that of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def list_images(folder: Path) -> list[Path]:
    """Image files directly inside ``folder``, in natural order."""
    return [folder / name for name in image_names(folder)]


def image_names(folder: Path) -> list[str]:
    """Names of the image files directly inside ``folder``, in natural order."""
    with os.scandir(folder) as files:  # says what is a file without asking for each, and makes no path of it
        return sorted((file.name for file in files if is_image(file.name) and file.is_file()), key=natural_key)
