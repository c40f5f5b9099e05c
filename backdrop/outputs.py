"""What Backdrop itself leaves on disk: by which files it is known, so that it is never taken for footage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

CONFIG = "config_fit.yaml"
"""The whole config of a training, in the folder of its stage."""
STAGES = ("inpaint", "segment")
"""The folders of the stages in a run folder."""
BOXES = "boxes.csv"
"""The table of a prediction."""
BOXES_HEADER = ("frame", "x0", "y0", "x1", "y1", "confidence", "file")
"""Its first columns, by which it is known."""
BOXES_MORE = ("time", "score", "found", "area", "share")
"""The columns after these."""
LABELS = "labels.csv"
"""The table of a folder of labels."""
LABELS_HEADER = ("picture", "input", "frame", "time", "subject", "score", "area", "x0", "y0", "x1", "y1")
"""Its columns."""
SHEET = "inspect_{}.png"
"""The contact sheet of a data set."""


def is_output(folder: Path) -> bool:
    """Whether a folder is a run, a stage of one, a prediction, labels, or where a contact sheet lies.

    Args:
        folder: Any folder.

    Returns:
        Whether Backdrop wrote it.
    """
    if any((folder / stage / CONFIG).is_file() for stage in ("", *STAGES)) or any(folder.glob(SHEET.format("*"))):
        return True
    return begins(folder / BOXES, BOXES_HEADER) or is_labels(folder)


def is_labels(folder: Path) -> bool:
    """Whether a folder holds the labels of a prediction.

    Args:
        folder: Any folder.
    """
    return begins(folder / LABELS, LABELS_HEADER)


def begins(table: Path, columns: Sequence[str]) -> bool:
    """Whether a file is a table with these first columns; no more of it is read.

    Args:
        table: The file, which need not be there.
        columns: Their names.
    """
    if not table.is_file():
        return False
    header = ",".join(columns).encode()
    with table.open("rb") as file:
        return file.read(len(header)) == header
