"""Finding out which folder the user should have given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

_DEEP = 2
_WIDE = 200


def wrong_root(root: Path, is_root: Callable[[Path], bool], expected: str) -> FileNotFoundError:
    """The error for a root that is not one; it says which folder to give, if one is near.

    Args:
        root: What the user gave.
        is_root: Whether a folder is a root of this data set.
        expected: What a root holds, as it goes into "No … in FOLDER".

    Returns:
        An error to raise.
    """
    if not root.exists():
        return FileNotFoundError(f"No folder at {root}: give the folder that holds {expected} as root.")
    if not root.is_dir():
        return FileNotFoundError(f"{root} is a file: give the folder that holds {expected} as root.")
    for parent in root.resolve().parents:
        if is_root(parent):
            return FileNotFoundError(f"{root} is too deep in the data set's tree: give {parent} as root.")
    for child in _below(root, _DEEP):
        if is_root(child):
            return FileNotFoundError(f"No {expected} in {root}: give {child} as root.")
    return FileNotFoundError(f"No {expected} in {root}: give the folder that holds them as root.")


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Folders below a folder, nearest first; large trees are cut off, as this is only about a hint."""
    children = [path for path in sorted(folder.iterdir())[:_WIDE] if path.is_dir()]
    yield from children
    if depth > 1:
        for child in children:
            yield from _below(child, depth - 1)
