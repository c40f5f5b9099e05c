"""A frame with its labels, as every format gets it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backdrop.drawing import span


@dataclass(frozen=True)
class Subject:
    """One subject of a frame.

    Attributes:
        mask: Bool, (H, W), not empty.
        score: How sure the model is of it, in [0, 1]; None where the run was not calibrated.
    """

    mask: NDArray[np.bool_]
    score: float | None = None

    @cached_property
    def corners(self) -> tuple[int, int, int, int]:
        """The box of the mask: (left, top, right, bottom) on pixel edges, so that right - left is its width."""
        where = span(self.mask)
        assert where is not None, "the mask is not empty"
        rows, columns = where
        return columns.start, rows.start, columns.stop, rows.stop

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """The mask within its box, (bottom - top, right - left)."""
        left, top, right, bottom = self.corners
        return self.mask[top:bottom, left:right]


@dataclass(frozen=True)
class LabelledFrame:
    """A frame with its subjects.

    Attributes:
        number: Its place among all labelled frames, counted from 1.
        name: Name of its picture without suffix; no two frames have the same.
        suffix: ``.jpg`` or ``.png``.
        size: (height, width) in pixels.
        subjects: The surest first, one at least.
    """

    number: int
    name: str
    suffix: str
    size: tuple[int, int]
    subjects: tuple[Subject, ...]

    @property
    def file(self) -> str:
        """The file name of its picture."""
        return self.name + self.suffix
