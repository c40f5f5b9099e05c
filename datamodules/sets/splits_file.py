"""``splits.json``: which clips of a user train, validate and test."""

from __future__ import annotations

from pathlib import Path

from backdrop.documents import read_json
from datamodules.clips.splits import SPLITS


def listed_splits(file: Path) -> dict[str, list[object]]:
    """Read the file.

    Args:
        file: UTF-8, with or without a byte order mark.

    Returns:
        Split -> what it lists.

    Raises:
        ValueError: If it is damaged, no object of lists, or names a split twice or one that does not exist.
    """
    try:
        listed = read_json(file)
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON in UTF-8 ({error}): mend it, or delete it.") from error
    if not isinstance(listed, dict) or not all(isinstance(value, list) for value in listed.values()):
        raise ValueError(f'{file} must look like {{"train": ["run1"], "val": ["run2"], "test": ["run3"]}}.')
    wrong = [key for key in listed if key not in SPLITS]
    if wrong:
        raise ValueError(f"{file} has a split '{wrong[0]}': only train, val and test exist.")
    return listed
