"""What file names say: which are images and videos, their natural order, their numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"})
IMAGE_SUFFIXES |= {".jpe", ".jfif", ".jp2", ".j2k", ".avif", ".tga"}
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".wmv", ".gif"})
VIDEO_SUFFIXES |= {
    ".ts",
    ".m2ts",
    ".m2t",
    ".3gp",
    ".3g2",
    ".flv",
    ".f4v",
    ".ogv",
    ".mxf",
    ".vob",
    ".dv",
    ".asf",
    ".divx",
}
VIDEO_SUFFIXES |= {".m2v", ".mjpeg", ".nut", ".y4m", ".qt", ".apng"}
_DECIMAL = re.compile(r"(.*?)(\d+)\.(\d+)")


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


def numbers_in_names(stems: Sequence[str]) -> list[int]:
    """The numbers of frames in the names of files of one kind, such as the masks of a clip.

    The names may differ in one number only, and that is the frame's: ``000000_v2`` and ``000001_v2`` give 0 and 1. A
    name that stands alone must hold a single number.

    Args:
        stems: File names without suffix.

    Returns:
        The number of each.

    Raises:
        ValueError: If the names do not tell which number is the frame's, or two give the same; it says which names.
    """
    split = [re.split(r"(\d+)", stem) for stem in stems]
    if len({tuple(parts[::2]) for parts in split}) > 1:
        other = next(stem for stem, parts in zip(stems, split, strict=True) if parts[::2] != split[0][::2])
        raise ValueError(f"{stems[0]} and {other} are named in different ways")
    columns = list(zip(*(parts[1::2] for parts in split), strict=True))
    varying = [column for column in columns if len(set(column)) > 1] if len(stems) > 1 else columns
    if len(varying) != 1:
        which = f"{stems[0]} and {stems[1]}" if len(stems) > 1 else stems[0]
        raise ValueError(f"{which} {'differ in' if len(stems) > 1 else 'holds'} {len(varying) or 'no'} numbers")
    numbers = [int(text) for text in varying[0]]
    for at, number in enumerate(numbers):
        if number in numbers[:at]:
            raise ValueError(f"{stems[numbers.index(number)]} and {stems[at]} are both of frame {number}")
    return numbers


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
    """Names of the image files directly inside ``folder``, in natural order, and in time where they are time stamps.

    Links that lead nowhere are among them: reading them says so.
    """
    with os.scandir(folder) as files:  # says what is a file without asking for each, and makes no path of it
        return _in_order([file.name for file in files if is_image(file.name) and not file.is_dir()])


def _in_order(names: list[str]) -> list[str]:
    """File names in natural order.

    Where all are one text with a decimal number, such as a time stamp, 0.25 is before 0.3; but not where a fraction
    ends in 0, as in 1.10, which counts.
    """
    found = [_DECIMAL.fullmatch(os.path.splitext(name)[0]) for name in names]
    parts = [match.groups() for match in found if match]
    counted = any(len(fraction) > 1 and fraction.endswith("0") for _, _, fraction in parts)
    if counted or len(parts) < len(names) or len({text for text, _, _ in parts}) > 1:
        return sorted(names, key=natural_key)
    return [name for _, _, name in sorted((int(p[1]), p[2], name) for p, name in zip(parts, names, strict=True))]
