"""Writing a picture, here and in the commands that draw one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from backdrop.files import whole_file

NOTES = "backdrop"
"""Key of the text chunk that holds a picture's notes, as JSON."""


def save_png(path: Path, pixels: NDArray[np.uint8], notes: Mapping[str, Any] | None = None) -> None:
    """Write a PNG so that a reader never meets half of it: under another name first, then renamed.

    Args:
        path: Where to; its folder is made.
        pixels: RGB, (H, W, 3), or grey, (H, W).
        notes: What the picture shows, for programs: anything that JSON can hold; :func:`read_notes` reads it.
    """
    text = PngImagePlugin.PngInfo()
    if notes is not None:
        text.add_text(NOTES, json.dumps(notes))
    with whole_file(path) as part:
        Image.fromarray(np.ascontiguousarray(pixels)).save(part, format="PNG", pnginfo=text)


def read_notes(image: Image.Image) -> dict[str, Any]:
    """What :func:`save_png` has noted in a picture.

    Args:
        image: The opened file.

    Returns:
        Its notes; empty where it has none, as pictures of other programs, and of earlier versions.
    """
    try:
        notes = json.loads(image.info.get(NOTES, "{}"))
    except ValueError:
        return {}
    return notes if isinstance(notes, dict) else {}
