"""Mask files: one subject, or numbered objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.readers.images import resize

_LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg"})


def read_mask(path: Path | str, level: int | None = None) -> NDArray[np.bool_]:
    """Read one mask: where any colour channel is above a level, there is the subject.

    Palette images are read as indices and alpha is ignored.

    Args:
        path: The mask file.
        level: Largest value of the background; None means 0, and 127 for JPEG, as compression leaves no zeros.

    Returns:
        Bool, (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no complete image; the message names it.
    """
    if level is None:
        level = 127 if Path(path).suffix.lower() in _LOSSY_SUFFIXES else 0
    mask = _mask_values(path) > level
    return np.asarray(mask.any(axis=-1) if mask.ndim == 3 else mask)


def read_objects(path: Path | str) -> NDArray[np.integer[Any]]:
    """Read one mask of several objects.

    Args:
        path: The mask file, a palette or grey image.

    Returns:
        Number of the object at every pixel, (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no complete image, or has colours instead of numbers; the message names it.
    """
    values = _mask_values(path)
    if values.ndim != 2:
        raise ValueError(f"The mask {path} has colours instead of object numbers: save it as a palette or grey image.")
    return values


def _mask_values(path: Path | str) -> NDArray[np.integer[Any]]:
    """Values of a mask file, (H, W) or (H, W, C), without alpha."""
    try:
        with Image.open(path) as file:
            opaque = {"LA": "L", "RGBA": "RGB", "PA": "RGB"}.get(file.mode)
            return np.asarray(file.convert(opaque) if opaque else file)
    except FileNotFoundError:
        raise FileNotFoundError(f"No mask at {path}.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"Cannot read the mask {path} ({error}): replace or delete the file.") from error


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
