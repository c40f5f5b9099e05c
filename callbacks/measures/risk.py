"""Risk against coverage: how bad the masks are among the frames whose score is highest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

COVERAGES = tuple(share / 10 for share in range(1, 11))
"""Shares of the frames at which the curve is given."""


def risk_curve(score: NDArray[np.floating], j: NDArray[np.floating]) -> NDArray[np.float64]:
    """The risk among the first 1, 2, ... N frames, the highest score first.

    The risk is 1 - J, a mean over frames. Frames with the same score share theirs, so their order does not matter.

    Args:
        score: Of each frame, (N,).
        j: Of each frame, (N,), in [0, 1].

    Returns:
        (N,), in [0, 1].
    """
    values, places, counts = np.unique(-score, return_inverse=True, return_counts=True)
    mean = np.bincount(places, 1 - j, len(values)) / counts
    shared = np.repeat(mean, counts)
    return np.asarray(shared.cumsum() / np.arange(1, len(shared) + 1), dtype=np.float64)


def risks(score: NDArray[np.floating], j: NDArray[np.floating], curve: bool = True) -> dict[str, Any]:
    """What is written down of the curve.

    Args:
        score: Of each frame, (N,); NaN where there is none.
        j: Of each frame, (N,); NaN where there is no true mask.
        curve: Whether to give the curve too.

    Returns:
        ``aurc``, the mean of the risk over all coverages, and ``risk_coverage``, the risk by coverage, see
        :data:`COVERAGES`; empty where no frame has both a score and a mask.
    """
    known = ~(np.isnan(score) | np.isnan(j))
    if not known.any():
        return {}
    risk = risk_curve(score[known], j[known])
    points = {f"{share:.1f}": float(risk[max(1, round(share * len(risk))) - 1]) for share in COVERAGES}
    return {"aurc": float(risk.mean()), **({"risk_coverage": points} if curve else {})}
