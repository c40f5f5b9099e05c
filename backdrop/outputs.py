"""What Backdrop itself leaves on disk: by which files it is known, so that it is never taken for footage."""

from __future__ import annotations

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
SHEET = "inspect_{}.png"
"""The contact sheet of a data set."""


def is_output(folder: Path) -> bool:
    """Whether a folder is a run, a stage of one, a prediction, or where a contact sheet lies.

    Args:
        folder: Any folder.

    Returns:
        Whether Backdrop wrote it.
    """
    if any((folder / stage / CONFIG).is_file() for stage in ("", *STAGES)) or any(folder.glob(SHEET.format("*"))):
        return True
    if not (folder / BOXES).is_file():
        return False
    header = ",".join(BOXES_HEADER).encode()
    with (folder / BOXES).open("rb") as file:
        return file.read(len(header)) == header
