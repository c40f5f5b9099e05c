"""The folder of a prediction: a new one replaces the former once it is complete."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from backdrop.errors import RunError
from backdrop.folders import replacing
from backdrop.outputs import BOXES, BOXES_HEADER, begins

PARTS = ("overlays", "overlay.mp4", "masks", "soft", "cutouts", "cutout.mov", "plate.png", "subjects", BOXES)
"""What a prediction may hold; the table, by which it is known, comes last."""


def new_prediction(output: Path) -> AbstractContextManager[Path]:
    """A folder for a new prediction, which replaces the former one in ``output``; see :func:`replacing`.

    Args:
        output: The folder that the user asked for; files in it under the names of a prediction's that are none are
            refused before anything is written.
    """
    return replacing(output, PARTS, lambda: _require_free(output))


def _require_free(output: Path) -> None:
    """Refuse a folder with files under the names of a prediction's that are none.

    Raises:
        RunError: Naming the first one.
    """
    taken = [name for name in PARTS if (output / name).exists()]
    if taken and not begins(output / BOXES, BOXES_HEADER[:-1]):
        there = f"{output / taken[0]} is there already"
        raise RunError(f"{there} and was made by no prediction: choose another output folder.")
