"""Clips that are one recording under several names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from datamodules.readers import list_images


def same_recordings(clips: Mapping[str, Path]) -> dict[str, str]:
    """Find clips whose files are those of another clip, by links of either kind. Copies are other files.

    Args:
        clips: Clip name -> video file or folder of images.

    Returns:
        Name of the clip -> name of the first one in ``clips`` that is the same recording.
    """
    first: dict[tuple[tuple[int, int], ...], str] = {}
    known = {name: first.setdefault(files, name) for name, path in clips.items() if (files := _files(path))}
    return {name: other for name, other in known.items() if other != name}


def _files(path: Path) -> tuple[tuple[int, int], ...]:
    """What tells the files of a clip from all others on this machine: device and number of each that is there."""
    states = (file.stat() for file in (list_images(path) if path.is_dir() else [path]) if file.exists())
    return tuple((state.st_dev, state.st_ino) for state in states)
