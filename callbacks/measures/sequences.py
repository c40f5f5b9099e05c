"""The official figures of DAVIS: mean, recall and decay of a measure over the frames of a sequence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

RECALL_LEVEL = 0.5
"""A frame counts as found where the measure is greater than this."""

_PARTS = 4


class Statistics(NamedTuple):
    """What DAVIS says of a sequence (Perazzi et al. 2016, Sec. 4).

    Attributes:
        mean: Over the frames.
        recall: Share of the frames whose measure is greater than 0.5.
        decay: How much the mean of the last quarter of the sequence is below that of the first.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: ArrayLike) -> Statistics:
    """Sum up a sequence as the official tool of DAVIS-2016 does.

    The first frame, whose mask the semi-supervised methods are given, and the last one are left out. Quarters share the
    frame at which they meet.

    Args:
        values: J or boundary F of every frame, in order, (N,); at least three.

    Returns:
        The figures.

    Raises:
        ValueError: If nothing is left without the first and the last frame.
    """
    inner = np.asarray(values, dtype=np.float64)[1:-1]
    if not len(inner):
        raise ValueError("DAVIS leaves out the first and the last frame, so a sequence needs three with a mask.")
    ends = np.round(np.linspace(0, len(inner) - 1, _PARTS + 1) + 1e-10).astype(int)
    first, last = inner[: ends[1] + 1], inner[ends[-2] :]
    return Statistics(float(inner.mean()), float((inner > RECALL_LEVEL).mean()), float(first.mean() - last.mean()))
