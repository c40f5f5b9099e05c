"""What a model says of one subject of a frame, and what every model answers to.

numpy is all that this file needs, so that an exported model needs no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
LIMIT = 0.5
"""Scores from here on count as a subject."""


@dataclass(frozen=True)
class Found:
    """What a model says of one subject of a frame.

    Attributes:
        mask: Soft mask at the frame's own size, (H, W), in [0, 1].
        box: (x0, y0, x1, y1) in pixels of the frame, on pixel edges, clipped to the frame.
        confidence: Probability of the box's cell or, of several subjects, the share of the cells that agree on it, in
            [0, 1].
        score: How sure it is that this is a subject, and well cut, in [0, 1]; 0.5 is the limit that the training
            found on frames held out. None where the run was never calibrated.
    """

    mask: NDArray[np.float32]
    box: tuple[float, float, float, float]
    confidence: float
    score: float | None = None

    @property
    def found(self) -> bool:
        """Whether there is a subject; always, where there is no score."""
        return self.score is None or self.score >= LIMIT


class Engine(Protocol):
    """A model that finds subjects: a trained run, or an exported file."""

    def __call__(self, images: Sequence[Pixels]) -> list[list[Found]]:
        """Find the subjects in a few frames.

        Args:
            images: RGB, (H, W, 3) each, of any size.

        Returns:
            The subjects of each frame, the surest first, one at least.
        """
        ...


def union(found: Sequence[Found]) -> NDArray[np.float32]:
    """The soft mask of all subjects of a frame, (H, W), in [0, 1]."""
    joined: NDArray[np.float32] = np.max([subject.mask for subject in found], axis=0)
    return joined
