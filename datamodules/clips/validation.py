"""A validation part where the protocol of a data set has none: whole recordings, set aside from those to train on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def set_aside(recordings: Iterable[str], share: float) -> frozenset[str]:
    """Draw recordings to validate on, always the same ones of the same recordings.

    Args:
        recordings: Names of the recordings of the training part; what several cameras saw at once is one.
        share: Share of them to draw, in [0, 1).

    Returns:
        At least one of them, but never all; none if the share is 0 or there is no other.
    """
    names = sorted(set(recordings))
    count = min(max(1, round(share * len(names))), len(names) - 1) if share else 0
    drawn = np.random.default_rng(0).permutation(len(names))[: max(0, count)]
    return frozenset(names[position] for position in drawn.tolist())
