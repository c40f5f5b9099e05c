"""The frames beside their labels."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from backdrop.found import Pixels

QUALITY = 95
"""Of JPEG."""


def write_picture(image: Pixels, paths: Sequence[Path]) -> None:
    """Write a frame at its full size, once: under the other names it is the same file, where the disk can do that.

    Args:
        image: RGB, (H, W, 3).
        paths: Where to, one at least; their suffix says whether as PNG, without loss, or as JPEG.
    """
    first, *others = paths
    Image.fromarray(image).save(first, quality=QUALITY)
    for path in others:
        try:
            os.link(first, path)
        except OSError:  # some disks know one name for a file only
            shutil.copyfile(first, path)
