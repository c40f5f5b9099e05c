"""Drawing what was found into a frame: numpy is all that this file needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backdrop.found import Found, Pixels

SUBJECT_COLOURS = ((255, 64, 64), (64, 160, 255), (255, 200, 40), (200, 90, 255), (70, 230, 200), (255, 130, 200))
"""RGB of the first, second, ... subject of a frame; after the last one they come again."""

_EDGE = 255  # white
_STRENGTH = 0.5


def subject_colour(number: int) -> tuple[int, int, int]:
    """RGB of a subject of a frame, counted from 0."""
    return SUBJECT_COLOURS[number % len(SUBJECT_COLOURS)]


def draw(image: Pixels, found: Sequence[Found], threshold: float, colours: Sequence[int] | None = None) -> Pixels:
    """Tint the subjects, each in a colour of its own, and draw their outlines and boxes.

    Args:
        image: RGB, (H, W, 3).
        found: The subjects of this frame; those that are none (:attr:`~backdrop.found.Found.found`) are left out.
        threshold: Mask values from here on count as subject.
        colours: Number of the colour of each; None takes them in turn.

    Returns:
        The overlay, same size.
    """
    painted = image.copy()
    thickness = max(1, round(min(image.shape[:2]) / 240))
    for at, subject in reversed(list(enumerate(found))):  # the surest on top
        if subject.found:
            colour = subject_colour(at if colours is None else colours[at])
            _tint(painted, subject.mask, colour, threshold, thickness)
            _frame(painted, subject.box, colour, thickness)
    return painted


def span(mask: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """The rows and columns that a mask reaches over; None where it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)).tolist() for axis in (1, 0))
    return (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)) if rows else None


def _tint(
    image: Pixels, mask: NDArray[np.float32], colour: tuple[int, int, int], threshold: float, thickness: int
) -> None:
    """Tint a subject by its soft mask, and draw its outline, all of it inside."""
    inside = mask >= threshold
    if (where := span(inside)) is None:
        return
    part, inside = image[where], inside[where]
    strength = (mask[where] * inside * (256 * _STRENGTH)).astype(np.int16)[..., None]  # 128 at most: 16 bits hold all
    part += ((np.asarray(colour, np.int16) - part) * strength + 127 >> 8).astype(np.uint8)  # wraps to the sum
    part[inside & ~_eroded(inside, thickness)] = _EDGE


def _eroded(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """A mask without its border; the edge of the array counts as border, so a subject there is closed."""
    kept = mask.copy()
    for _ in range(steps):
        inner = np.pad(kept, 1)
        kept = inner[1:-1, 1:-1] & inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    return kept


def _frame(image: Pixels, box: tuple[float, float, float, float], colour: tuple[int, int, int], thickness: int) -> None:
    """Draw a box, inside of its edges."""
    x0, y0, x1, y1 = (round(value) for value in box)
    for rows, columns in (
        (slice(y0, min(y0 + thickness, y1)), slice(x0, x1)),
        (slice(max(y1 - thickness, y0), y1), slice(x0, x1)),
        (slice(y0, y1), slice(x0, min(x0 + thickness, x1))),
        (slice(y0, y1), slice(max(x1 - thickness, x0), x1)),
    ):
        image[rows, columns] = colour
