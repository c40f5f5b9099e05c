"""The videos that a user names on the command line, as a folder that a data set reads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from backdrop.errors import RunError, UsageError

VIDEOS = "videos"
"""Folder of links in a run folder, where several videos were named."""


def root_of(videos: Sequence[Path], run: Path) -> Path:
    """The root of a data set of these videos, for :class:`datamodules.sets.videos.Videos`.

    Args:
        videos: A file or a folder, or several, which may lie anywhere.
        run: The run folder.

    Returns:
        The only file or folder; of several, a folder ``RUN/videos`` of links to them, which is made.

    Raises:
        RunError: If the run was begun with other videos.
        UsageError: If one is not there, or two have the same name.
    """
    for path in videos:
        if not path.exists():
            raise UsageError(f"Nothing at {path}: name a video, several, or a folder of videos or images.")
    if len(videos) == 1:
        return videos[0]
    named: dict[str, Path] = {}
    for path in map(Path.absolute, videos):
        other = named.setdefault(path.name, path)
        if other.resolve() != path.resolve():
            raise UsageError(f"{other} and {path} have the same name: rename one of them.")
    folder, part = run / VIDEOS, run / f".{VIDEOS}.part"
    linked = {link.name: Path(os.readlink(link)) for link in _in(folder) if link.is_symlink()}
    if linked == named:
        return folder
    if linked and any(path not in (folder, part) for path in _in(run)):
        given = ", ".join(sorted(map(str, linked.values())))
        raise RunError(f"{run} was begun with other videos ({given}): name these, or choose another run folder.")
    for former in (part, folder):  # of a call that was killed, or only said what it would do
        shutil.rmtree(former, ignore_errors=True)
    part.mkdir(parents=True)
    for name, path in named.items():
        (part / name).symlink_to(path)
    os.replace(part, folder)
    return folder


def _in(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where there is none."""
    return list(folder.iterdir()) if folder.is_dir() else []


def as_options(words: Sequence[str]) -> list[str]:
    """Options of the data in place of a video or a folder that is named first.

    Args:
        words: What follows the name of a command that shows or prepares data.

    Returns:
        The same where no video is named; else options of ``fit`` for it, as ``train`` has them, then the others.

    Raises:
        UsageError: If several are named.
    """
    named = list(takewhile(lambda word: not word.startswith("-"), words))
    if not named:
        return list(words)
    if len(named) > 1:
        raise UsageError(f"{named[0]} and {named[1]}: name one video, or the folder that they are in")
    profile = [] if any(word.startswith("--profile") for word in words) else ["--profile=small"]
    options = ["--data=videos", *profile, f"--data.init_args.root={named[0]}", "--data.init_args.val_fraction=0"]
    return [*options, *words[1:]]


def run_name(videos: Sequence[Path], data: str) -> str:
    """The usual name of the run folder: that of the only video or folder, else of the data."""
    if len(videos) != 1:
        return data
    path = videos[0].resolve()
    return (path.name if path.is_dir() else path.stem) or data
