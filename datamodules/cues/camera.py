"""The camera's motion between two frames as an affine flow, whatever moves in front of the scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datamodules.cues.flow import Flow

Affine = NDArray[np.float64]
"""(3, 2): the flow of a pixel is (x, y, 1) times this; x and y from the frame's centre, in halves of its height."""

BORDER = 0.12
"""Of the frame's size: so near its border the scene is likelier than inside."""

_STEP = 3  # grid cells between samples
_INSIDE = 0.25  # weight of a sample inside, over that at the border
_PASSES = 12
_PRIOR_PASSES = 4  # how many of them take the scale of all samples; the others of those that agree
_TUNING = 1.5  # robust standard deviations at which a sample counts a quarter
_LEAST_SCALE = 0.1  # working pixels: flow is not more accurate

SETTINGS = f"camera {_STEP} {BORDER} {_INSIDE} {_PASSES} {_PRIOR_PASSES} {_TUNING} {_LEAST_SCALE}"
"""Part of the identity of what is stored."""


def camera_flow(flow: Flow) -> Flow:
    """The part of a flow that the camera explains.

    Six numbers are fitted by iteratively re-weighted least squares with the weights of Geman and McClure (1987), as in
    robust estimation of motion (Black and Anandan 1996). The scene is taken to be what reaches the frame's border.

    Args:
        flow: Of a frame, (h, w, 2), in working pixels.

    Returns:
        The camera's flow, like ``flow``.
    """
    height, width = flow.shape[:2]
    places = _places(height, width)
    sampled = (slice(_STEP // 2, None, _STEP), slice(_STEP // 2, None, _STEP))
    prior = _prior(height, width)[sampled].ravel()
    motion = robust_affine(places[sampled].reshape(-1, 3), flow[sampled].reshape(-1, 2), prior)
    return (places @ motion).astype(np.float32)


def robust_affine(
    places: NDArray[np.float64], vectors: NDArray[np.float32], prior: NDArray[np.float64]
) -> Affine:
    """Fit an affine flow to samples of which many may follow another motion.

    Args:
        places: (x, y, 1) of the samples, (N, 3).
        vectors: Their flow, (N, 2), in working pixels.
        prior: How likely each is to follow the motion in question, (N,), positive.

    Returns:
        The motion.
    """
    motion = np.zeros((3, 2))
    motion[2] = [weighted_median(vectors[:, axis], prior) for axis in (0, 1)]
    weights = prior
    for number in range(_PASSES):
        length = np.linalg.norm(vectors - places @ motion, axis=1)
        scale = max(1.4826 * weighted_median(length, prior if number < _PRIOR_PASSES else weights), _LEAST_SCALE)
        weights = prior / (1 + (length / (_TUNING * scale)) ** 2) ** 2
        weighted = places * weights[:, None]
        motion = np.linalg.solve(weighted.T @ places + 1e-9 * np.eye(3), weighted.T @ vectors)
    return motion


def weighted_median(values: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    """The value below which half of the weight lies.

    Args:
        values: (N,).
        weights: (N,), not negative.

    Returns:
        One of the values.
    """
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, total[-1] / 2)]])


def near_border(size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which pixels lie near the frame's border.

    Args:
        size: (height, width).

    Returns:
        bool, (height, width).
    """
    y, x = (abs((np.arange(length) + 0.5) / length - 0.5) >= 0.5 - BORDER for length in size)
    return np.asarray(y[:, None] | x, dtype=bool)


def _places(height: int, width: int) -> NDArray[np.float64]:
    """(x, y, 1) of every cell, (h, w, 3)."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    half = height / 2
    return np.stack([(x + 0.5 - width / 2) / half, (y + 0.5) / half - 1, np.ones_like(x)], axis=2)


def _prior(height: int, width: int) -> NDArray[np.float64]:
    """Weight of every cell, (h, w): 1 near the frame's border, less inside."""
    return np.where(near_border((height, width)), 1.0, _INSIDE)
