"""Mask files: one subject, or numbered objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.readers.codes import MOVING, OUTSIDE, SHADOW, STATIC, UNKNOWN
from datamodules.readers.images import open_image, resize

_LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg"})
MIDDLE = 127
"""Largest value of the background in a mask with soft edges."""


def read_mask(
    path: Path | str, level: int | None = None, notice: Callable[[str], object] | None = None
) -> NDArray[np.bool_]:
    """Read one mask: where any colour channel is above a level, there is the subject.

    Palette images are read as indices. An alpha that varies is the mask, as in a cut-out; another one is ignored.

    Args:
        path: The mask file.
        level: Largest value of the background; None means 0, but 127 for JPEG, as compression leaves no zeros, and
            where the image has more than two values, the largest of which is above that: soft edges, or another lossy
            compression.
        notice: Called with what is not plain about the mask, in words.

    Returns:
        Bool, (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the disk fails or forbids it.
        ValueError: If the file is no complete image; the message names it.
    """
    values, palette = _mask_values(path)
    if values.ndim == 3 and values.shape[2] in (2, 4):
        alpha = values[..., -1]
        varies = alpha.min() < alpha.max()
        if varies and notice is not None:
            notice("an alpha channel that varies is the mask")
        values = alpha if varies else values[..., :-1]
    if level is None:
        found = np.unique(values)
        soft = not palette and len(found) > 2 and found[-1] > MIDDLE
        level = MIDDLE if soft or Path(path).suffix.lower() in _LOSSY_SUFFIXES else 0
        codes = "" if palette else _of_codes(found)
        if notice is not None and (soft or codes):
            taken = f"there are values besides two; those above {MIDDLE} are" if soft else "what is not 0 is"
            notice(f"{taken} the subject{codes}")
    mask = values > level
    return np.asarray(mask.any(axis=-1) if mask.ndim == 3 else mask)


def _of_codes(found: NDArray[np.integer[Any]]) -> str:
    """What to say beside where the values of a mask are the codes of a benchmark; empty where they are not."""
    values = set(found.tolist())
    if not values & {SHADOW, OUTSIDE, UNKNOWN} or not values <= {STATIC, SHADOW, OUTSIDE, UNKNOWN, MOVING}:
        return ""
    return (
        f"; if these are the codes of CDnet, {SHADOW} is a shadow, and {OUTSIDE} and {UNKNOWN} are not known: "
        "DATA=cdnet or sbi leaves such pixels out of the scores"
    )


def read_objects(path: Path | str) -> NDArray[np.integer[Any]]:
    """Read one mask of several objects.

    Args:
        path: The mask file, a palette or grey image.

    Returns:
        Number of the object at every pixel, (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the disk fails or forbids it.
        ValueError: If the file is no complete image, or has colours instead of numbers; the message names it.
    """
    values, _ = _mask_values(path)
    if values.ndim == 3 and values.shape[2] == 2:  # grey and alpha
        values = values[..., 0]
    if values.ndim != 2:
        raise ValueError(f"The mask {path} has colours instead of object numbers: save it as a palette or grey image.")
    return values


def _mask_values(path: Path | str) -> tuple[NDArray[np.integer[Any]], bool]:
    """Values of a mask file, (H, W) or (H, W, C), alpha last; and whether they are indices of a palette."""
    with open_image(path, "mask") as file:
        return np.asarray(file.convert("RGBA") if file.mode == "PA" else file), file.mode == "P"


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Scale a mask: a pixel belongs to the subject where at least half of its area does.

    Args:
        mask: Bool, (H, W).
        size: Output (height, width) in pixels.

    Returns:
        Bool, ``size``.
    """
    if mask.shape == tuple(size):
        return mask
    return np.asarray(resize(mask.astype(np.uint8) * 255, size) >= 128)


def resize_known(
    mask: NDArray[np.bool_], known: NDArray[np.bool_], size: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Scale a mask of which some pixels are unknown.

    A pixel is known where at least half of its area is, and belongs to the subject where at least half of what is known
    of it does; with every pixel known this is :func:`resize_mask`.

    Args:
        mask: Bool, (H, W).
        known: Where it is known, bool, (H, W).
        size: Output (height, width) in pixels.

    Returns:
        The mask and where it is known, bool, ``size`` each; False in the mask where it is not.
    """
    if known.all():
        return resize_mask(mask, size), np.ones(size, dtype=bool)
    subject, sure = (resize(plane.astype(np.uint8) * 255, size) for plane in (mask & known, known))
    inside = sure >= 128
    return inside & (2 * subject.astype(np.int64) >= sure), inside


def resize_objects(objects: NDArray[Any], joined: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Scale the numbers of several objects: a pixel gets that of the object which has most of its area.

    Args:
        objects: Number of the object at each pixel, 0 = background, (H, W), integer; at most 255.
        joined: The mask of all objects at the output size, bool (H', W').

    Returns:
        uint8 (H', W'), not 0 exactly where ``joined``.
    """
    numbers = np.unique(objects[objects > 0]).astype(np.uint8)
    if not len(numbers):
        return np.zeros(joined.shape, dtype=np.uint8)
    height, width = joined.shape
    areas = np.stack([resize((objects == number).astype(np.uint8) * 255, (height, width)) for number in numbers])
    return np.where(joined, numbers[areas.argmax(axis=0)], 0).astype(np.uint8)
