"""The folder of a prediction: a new one replaces the former once it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backdrop.errors import RunError
from backdrop.files import absent, remove_empty
from backdrop.locks import sole
from backdrop.outputs import BOXES, BOXES_HEADER, begins

PARTS = ("overlays", "overlay.mp4", "masks", "soft", "cutouts", "cutout.mov", "plate.png", "subjects", BOXES)
"""What a prediction may hold; the table, by which it is known, comes last."""


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A folder for a new prediction, which replaces the former one in ``output`` once it is complete.

    Args:
        output: The folder that the user asked for; what else lies in it stays.

    Yields:
        An empty folder inside ``output``; gone in the end, also after an error, when ``output`` is as it was.

    Raises:
        RunError: If ``output`` holds files under the names of a prediction's that are none, or another process
            predicts into it.
    """
    if output.exists() and not output.is_dir():
        raise RunError(f"{output} is no folder: choose another output folder.")
    before = absent(output)
    try:
        with sole(output / ".predicting") as alone:
            if not alone:
                what = f"Another prediction writes into {output}"
                raise RunError(f"{what}: wait for its end, or choose another output folder.")
            yield from _replaced(output)
    finally:
        remove_empty(before)


def _replaced(output: Path) -> Iterator[Path]:
    """The same, for the only process that writes into ``output``."""
    table, part = output / BOXES, output / ".part"
    former = begins(table, BOXES_HEADER[:-1])
    taken = [name for name in PARTS if (output / name).exists()]
    if taken and not former:
        there = f"{output / taken[0]} is there already"
        raise RunError(f"{there} and was made by no prediction: choose another output folder.")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir(parents=True)
    try:
        yield part
        for name in taken:  # boxes.csv, by which a prediction is known, goes last and comes first
            old = output / name
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in sorted(part.iterdir()):
            os.replace(new, output / new.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
