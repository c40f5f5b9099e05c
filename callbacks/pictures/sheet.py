"""A sheet: the panels of several frames, a row each, under a line that names the columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.utils import make_grid

from callbacks.pictures.panels import PANEL_WIDTH, Frame, label, panels, write
from callbacks.pictures.png import save_png

HEADER = 22
"""Height of the line that names the columns, in pixels."""

PADDING = 2
"""Width of the white line around every panel, in pixels."""


def save_sheet(path: Path, frames: list[Frame]) -> Tensor:
    """Write the sheet of several frames; its notes say what is where, so that it can be cut up again.

    The notes hold the names of the ``columns`` and ``rows``, the ``lefts`` of the columns and ``tops`` of the rows in
    pixels, and the (width, height) of a ``panel``.

    Args:
        path: Where to.
        frames: Frames of one split, all of one size.

    Returns:
        The sheet, (3, H, W), uint8.
    """
    picture, columns = _laid_out(frames)
    height = (picture.shape[1] - HEADER - PADDING) // len(frames)
    notes = {
        "columns": columns,
        "rows": [label(frame) for frame in frames],
        "lefts": [PADDING + column * (PANEL_WIDTH + PADDING) for column in range(len(columns))],
        "tops": [HEADER + PADDING + row * height for row in range(len(frames))],
        "panel": [PANEL_WIDTH, height - PADDING],
    }
    save_png(path, picture.permute(1, 2, 0).numpy(), notes)
    return picture


def sheet(frames: list[Frame]) -> Tensor:
    """Lay out the panels of several frames, one row each, under a line that names the columns.

    Args:
        frames: Frames of one split, all of one size.

    Returns:
        The sheet, (3, H, W), uint8.
    """
    return _laid_out(frames)[0]


def _laid_out(frames: list[Frame]) -> tuple[Tensor, list[str]]:
    """The sheet of several frames, and the names of its columns."""
    rows = [panels(frame) for frame in frames]
    names = list(dict.fromkeys(name for row in rows for name in row))  # a column may be missing in some rows
    blank = torch.zeros_like(next(iter(rows[0].values())))
    grid = make_grid([row.get(name, blank) for row in rows for name in names], len(names), PADDING, pad_value=255)
    header = np.full((HEADER, grid.shape[2], 3), 255, np.uint8)
    for column, name in enumerate(names):
        write(header, name, (8 + column * (PANEL_WIDTH + PADDING), HEADER - 7), (0, 0, 0))
    return torch.cat([torch.from_numpy(header).permute(2, 0, 1), grid], dim=1), names
