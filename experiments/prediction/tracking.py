"""Numbers that stay with subjects from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Corners = tuple[float, float, float, float]
_LEAST = 0.1  # intersection over union: subjects are few, and move far from frame to frame


@dataclass
class Tracks:
    """The subjects of a clip, followed by their boxes.

    The boxes of a frame go to the numbers whose last boxes they overlap most, all in all (the Hungarian method on
    intersection over union); a box that overlaps none by a tenth gets a new number.

    Args:
        patience: Frames after which a subject that is gone is forgotten, at least 1.
    """

    patience: int = 30
    _last: dict[int, tuple[int, Corners]] = field(default_factory=dict, init=False)  # by number: frame, box
    _frame: int = field(default=0, init=False)
    _count: int = field(default=0, init=False)

    def follow(self, boxes: Sequence[Corners]) -> tuple[int, ...]:
        """Number the subjects of the next frame.

        Args:
            boxes: Their boxes in pixels.

        Returns:
            A number for each, from 1 on.
        """
        self._frame += 1
        self._last = {n: seen for n, seen in self._last.items() if self._frame - seen[0] <= self.patience}
        known = list(self._last)
        overlap = overlaps(boxes, [self._last[number][1] for number in known])
        found = {row: known[column] for row, column in _pairs(overlap) if overlap[row, column] >= _LEAST}
        numbers = tuple(found.get(row) or self._new() for row in range(len(boxes)))
        self._last |= {number: (self._frame, box) for number, box in zip(numbers, boxes, strict=True)}
        return numbers

    def _new(self) -> int:
        self._count += 1
        return self._count


def overlaps(first: Sequence[Corners], second: Sequence[Corners]) -> NDArray[np.float64]:
    """Intersection over union of every box with every other, (N, M); 0 where both are empty."""
    a, b = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (first, second))
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = (high - low).clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def _pairs(overlap: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The (row, column) of one box for each row or column, whose sum is largest."""
    if 0 in overlap.shape:
        return []
    if 1 in overlap.shape:  # one subject, as of an exported model, beside which SciPy need not be installed
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        return [(int(row), int(column))]
    from scipy.optimize import linear_sum_assignment

    return list(zip(*(found.tolist() for found in linear_sum_assignment(overlap, maximize=True)), strict=True))
