"""The folder of labels: made whole, or not at all."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from backdrop.errors import RunError
from backdrop.folders import OWN, replacing
from backdrop.outputs import LABELS, is_labels
from experiments.labels.formats import FORMATS

LEFT_OUT = "left_out.csv"
PARTS = (LEFT_OUT, *FORMATS, LABELS)
"""What a folder of labels may hold; the table, by which it is known, comes last."""


def new_labels(output: Path, overwrite: bool) -> AbstractContextManager[Path]:
    """A folder for new labels, which get their place in ``output`` once all are made; see :func:`replacing`.

    Args:
        output: The folder that the user asked for; refused before anything is written where it holds something else, or
            labels and not ``overwrite``.
        overwrite: Replace labels that are there.
    """
    return replacing(output, PARTS, lambda: _require_free(output, overwrite))


def _require_free(output: Path, overwrite: bool) -> None:
    """Refuse a place where something is that must stay.

    Raises:
        RunError: Naming what it is.
    """
    inside = sorted({*os.listdir(output)} - {*OWN}) if output.is_dir() else []
    if not inside:
        return
    strange = [name for name in inside if name not in PARTS]
    if strange or not is_labels(output):
        raise RunError(f"{output / (strange or inside)[0]} is there and is no label of ours: choose another folder.")
    if not overwrite:
        raise RunError(f"{output} holds labels, perhaps mended by hand: choose another folder, or give --overwrite.")
