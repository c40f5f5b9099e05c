"""Where the clips are below a folder of a user's recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backdrop.outputs import is_output
from datamodules.readers import is_video, list_images, natural_key

_RESERVED = frozenset({"masks", "boxes", "annotations", "groundtruth", "__macosx"})


def clips_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Videos and folders of images below a folder, in natural order.

    Links that lead back up are not followed, and what Backdrop itself wrote is no clip.

    Args:
        folder: Any folder; its own images are none of the clips.
        above: Real paths of the folders that were walked through.
    """
    above = (*above, folder.resolve())
    for path in sorted(folder.iterdir(), key=natural_key):
        if left_aside(path.name):
            continue
        if not path.is_dir() and (is_video(path) or (path.is_symlink() and not path.exists() and not path.suffix)):
            yield path  # also a link that leads nowhere, which opening it says
        elif path.is_dir() and path.resolve() not in above and not is_output(path):
            if list_images(path):
                yield path
            yield from clips_below(path, above)


def left_aside(name: str) -> bool:
    """Whether a folder is no place for clips, or a file no clip, by its name.

    Args:
        name: Its name.
    """
    return name.startswith(".") or name.lower() in _RESERVED
