"""Picture sheets for a page: cut into their panels, small, and written into the address itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from callbacks.pictures.png import read_notes

QUALITY = 70
"""Of WebP; a panel of 256 pixels takes about 6 kB."""

WHOLE = "sheet"
"""The column of a sheet that cannot be cut."""

WHOLE_WIDTH = 1024
"""Width in pixels, at most, of a sheet that cannot be cut."""


class Panel(NamedTuple):
    """One picture of the page.

    Attributes:
        row: The frame that it shows.
        column: What it shows of it.
        address: The picture itself, as a ``data:`` address.
        size: (width, height) in pixels.
    """

    row: str
    column: str
    address: str
    size: tuple[int, int]


def sheet_panels(path: Path, columns: Sequence[str] | None = None) -> list[list[Panel]]:
    """Cut a picture sheet into its panels.

    Args:
        path: A sheet of :class:`callbacks.MaskImages` or :class:`callbacks.ChosenFrames`, or any other picture.
        columns: The columns that are wanted; None takes all.

    Returns:
        The panels, a list for each row; the picture as a whole where it does not say how to cut it, as sheets of
        earlier versions do not.

    Raises:
        OSError: If the file is no picture.
    """
    with Image.open(path) as image:
        notes, sheet = read_notes(image), image.convert("RGB")
    if not notes:
        sheet.thumbnail((WHOLE_WIDTH, sheet.height))
        return [[Panel(path.stem, WHOLE, _address(sheet), sheet.size)]]
    width, height = notes["panel"]
    return [
        [
            Panel(row, column, _address(sheet.crop((left, top, left + width, top + height))), (width, height))
            for column, left in zip(notes["columns"], notes["lefts"], strict=True)
            if columns is None or column in columns
        ]
        for row, top in zip(notes["rows"], notes["tops"], strict=True)
    ]


def _address(image: Image.Image) -> str:
    """A picture as WebP in a ``data:`` address."""
    encoded = io.BytesIO()
    image.save(encoded, format="WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode()}"
