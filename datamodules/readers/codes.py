"""Masks whose values are codes: what a value stands for is written in a table, and not every value tells."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.readers.images import open_image

STATIC, SHADOW, OUTSIDE, UNKNOWN, MOVING = 0, 50, 85, 170, 255
"""The codes of changedetection.net (Goyette et al. 2012): a static pixel, a hard shadow on one, a pixel outside the
region of interest, one that is not known (half transparent, or blurred by motion), and one that moves."""


def read_values(path: Path | str, colours: bool = False) -> NDArray[np.integer[Any]]:
    """Read the values of a mask of codes.

    Args:
        path: The mask file.
        colours: Whether a file in colours has a code for each colour.

    Returns:
        (H, W): the grey value, or red * 65536 + green * 256 + blue of a file in colours where these are the codes.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the disk fails or forbids it.
        ValueError: If the file is no complete image; the message names it.
    """
    with open_image(path, "mask") as file:
        if not colours or file.mode in ("1", "L", "I", "I;16"):
            return np.asarray(file if file.mode in ("I", "I;16") else file.convert("L"))
        return np.asarray(np.asarray(file.convert("RGB"), np.int64) @ np.array([65536, 256, 1]))


def decode(
    values: NDArray[np.integer[Any]],
    subject: Collection[int],
    background: Collection[int],
    unknown: Collection[int] = (),
    notice: Callable[[str], object] | None = None,
) -> NDArray[np.bool_]:
    """Make a mask of codes.

    Args:
        values: The codes, (H, W).
        subject: Those of the subject.
        background: Those of the background.
        unknown: Those that leave open what is there.
        notice: Called with the codes that are none of these, in words; they leave it open too.

    Returns:
        A masked array of bool, (H, W): the subject, masked where a code leaves it open.
    """
    moving = np.isin(values, list(subject))
    known = moving | np.isin(values, list(background))
    if notice is not None and not known.all():
        others = np.setdiff1d(values[~known], list(unknown)).tolist()
        if others:
            shown = ", ".join(map(str, others[:3])) + (", ..." if len(others) > 3 else "")
            notice(f"there are values that stand for nothing ({shown}): these pixels are left out of the scores")
    return np.ma.masked_array(moving, ~known)
