"""A user's own recordings on disk: where the clips are, and their boxes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from backdrop.documents import read_table
from backdrop.outputs import is_output
from datamodules.clips.clip import Box
from datamodules.clips.problems import counted
from datamodules.readers import is_image, is_video, list_images, natural_key
from datamodules.sets.clip_folders import clips_below, left_aside

_NOTES = frozenset(
    {"", ".txt", ".md", ".json", ".csv", ".xml", ".yaml", ".yml", ".log", ".html", ".pdf", ".srt", ".db"}
)
BOX_COLUMNS = ("frame", "x0", "y0", "x1", "y1")
"""Columns of a table of boxes."""


def find_clips(root: Path) -> dict[str, Path]:
    """Find the clips below a path of the user's, however deep.

    Args:
        root: A video file or a folder; see :class:`datamodules.sets.videos.Videos`.

    Returns:
        Clip name -> video file or folder of images, in natural order. The name is the path below the folder of the
        clips, without a video's suffix.

    Raises:
        FileNotFoundError: If there is no clip.
        ValueError: If two clips have the same name, or the file is no video.
    """
    if not root.exists():
        raise FileNotFoundError(f"Nothing at {root}: give a video file or a folder of videos or images as root.")
    if root.is_file():
        if not is_video(root):
            raise ValueError(f"{root} is no video file by its name: give a video or a folder as root.")
        return {root.stem: root}
    folder = _clips_folder(root)
    clips: dict[str, Path] = {}
    for path in clips_below(folder):
        below = path.relative_to(folder)
        name = (below if path.is_dir() else below.with_suffix("")).as_posix()
        if name in clips:
            raise ValueError(f"{clips[name]} and {path} would both be clip '{name}': rename one of them.")
        clips[name] = path
    if not clips and list_images(folder):
        return {root.resolve().name: folder}
    if not clips:
        others = left_for_their_suffix(root).items()
        left = ", ".join(counted(len(files), f"{suffix} file") for suffix, files in others)
        raise FileNotFoundError(
            f"No video and no folder of images in {folder}{f' (but {left}, which are not read)' if left else ''}: put "
            "videos (.mp4, .mov, ...) or folders of images (.jpg, .png, ...) there."
        )
    return clips


def empty_folders(root: Path) -> list[Path]:
    """Folders where a clip was meant to be, but that hold neither an image nor a video, nor another folder.

    Args:
        root: What :func:`find_clips` was given.

    Returns:
        The folders, in natural order.
    """
    top = _clips_folder(root)
    found = []
    for folder, below, files in os.walk(top):
        below[:] = sorted((name for name in below if not left_aside(name)), key=natural_key)
        below[:] = [name for name in below if not is_output(Path(folder, name))]
        used = below or any(is_image(Path(name)) or is_video(Path(name)) for name in files)
        found += [] if used or Path(folder) == top else [Path(folder)]
    return found


def left_for_their_suffix(root: Path) -> dict[str, list[Path]]:
    """Files beside the clips that are no images and no videos by their name, and no notes.

    Args:
        root: What :func:`find_clips` was given.

    Returns:
        Suffix -> the files, in order.
    """
    found: dict[str, list[Path]] = {}
    for folder, below, files in os.walk(_clips_folder(root)):
        below[:] = sorted(name for name in below if not left_aside(name) and not is_output(Path(folder, name)))
        for path in (Path(folder, name) for name in sorted(files) if not name.startswith(".")):
            if path.suffix.lower() not in _NOTES and not is_image(path) and not is_video(path):
                found.setdefault(path.suffix.lower(), []).append(path)
    return found


def own_outputs(root: Path) -> list[Path]:
    """Folders below a path of the user's that Backdrop itself wrote, the topmost ones, in natural order.

    Args:
        root: What :func:`find_clips` was given.

    Returns:
        The folders.
    """
    found = []
    for folder, below, _ in os.walk(_clips_folder(root)):
        paths = [Path(folder, name) for name in sorted(below, key=natural_key) if not left_aside(name)]
        found += [path for path in paths if is_output(path)]
        below[:] = [path.name for path in paths if path not in found]
    return found


def level_hint(root: Path, clips: Iterable[str]) -> str | None:
    """Whether a root is probably not the one that was meant, so that annotations and splits are not seen.

    Args:
        root: What :func:`find_clips` was given.
        clips: Names of the clips that it found.

    Returns:
        What to give instead, and why; None where all looks well.
    """
    if all((root / part).is_dir() for part in ("JPEGImages", "Annotations")):
        return f"{root} looks like DAVIS, whose masks and lists are not seen here: DATA=davis takes them"
    if truth := _ground_truth(_clips_folder(root)):
        return f"{truth} looks like the masks of a benchmark: DATA=cdnet, sbi, fbms or segtrack takes them, not videos"
    parts = ("masks", "boxes", "splits.json")
    if root.name == "clips" and (seen := [part for part in parts if (root.parent / part).exists()]):
        return f"{seen[0]} beside {root} is not used: give {root.parent} as root to use it"
    for name in clips:
        above = [root / parent for parent in Path(name).parents if parent.name == "clips"]
        if above and (seen := [part for part in parts if (above[-1].parent / part).exists()]):
            return f"{above[-1].parent / seen[0]} is not used: give {above[-1].parent} as root to use it"
    return None


def _ground_truth(top: Path) -> Path | None:
    """The first folder below that is named as those of the masks in benchmarks are."""
    for folder, below, _ in os.walk(top):
        below.sort(key=natural_key)
        for name in below:
            if name.lower() == "groundtruth":
                return Path(folder, name)
        below[:] = [name for name in below if not left_aside(name)]
    return None


def _clips_folder(root: Path) -> Path:
    return root / "clips" if (root / "clips").is_dir() else root


def read_boxes_csv(path: Path) -> dict[int, Box]:
    """Read a table of boxes.

    Args:
        path: A CSV file with the columns frame, x0, y0, x1, y1, in pixels of the original frame.

    Returns:
        Original frame number -> box.

    Raises:
        ValueError: If a column is missing, a value is no number or a frame comes twice; the message names the line.
    """
    try:
        heads, rows = read_table(path)
    except ValueError as error:
        raise ValueError(f"{path} is damaged, or no table in UTF-8 ({error}): mend it.") from error
    if missing := [name for name in BOX_COLUMNS if name not in heads]:
        raise ValueError(f"{path} has no column {missing[0]}: its first line must be {','.join(BOX_COLUMNS)}.")
    boxes: dict[int, Box] = {}
    for line, row in rows:
        try:
            frame, x0, y0, x1, y1 = int(row["frame"]), *(float(row[name]) for name in BOX_COLUMNS[1:])
        except ValueError:
            raise ValueError(f"Line {line} of {path} is no frame and box: write five numbers.") from None
        if frame in boxes:
            raise ValueError(f"Line {line} of {path} gives frame {frame} a second box: keep one.")
        boxes[frame] = (x0, y0, x1, y1)
    return boxes
