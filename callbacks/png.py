"""Writing a picture, here and in the commands that draw one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def save_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a PNG so that a reader never meets half of it: under another name first, then renamed.

    Args:
        path: Where to; its folder is made.
        pixels: RGB, (H, W, 3), or grey, (H, W).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(part, format="PNG")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
