"""Camera motion between two frames: a homography from tracked corners (beyond the paper)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.readers import Pixels

Homography = NDArray[np.float64]
"""(3, 3): pixel coordinates (x, y, 1) in one frame to those of the same scene point in another, up to scale."""

_CORNERS, _QUALITY, _APART = 400, 0.005, 5  # how many, how distinct, how far from each other in pixels
_WINDOW, _LEVELS = 15, 3  # of the tracker, in pixels; three halvings find motions of some 60 pixels
_BACK = 0.5  # pixels: a track that does not lead back to where it began is dropped
_INLIER = 1.0  # pixels
_FEWEST = 8  # a homography takes four points; twice that leaves something to vote


def camera_motion(source: Pixels, target: Pixels, guess: Homography | None = None) -> Homography | None:
    """Where the scene of one frame lies in another, whatever moves in front of it.

    Corners (Shi-Tomasi) are tracked forth and back (pyramidal Lucas-Kanade), and the homography that most of them
    follow is kept (MAGSAC++). This is exact for a camera that turns about its centre or sees a plane, and an
    approximation for one that walks.

    Args:
        source: Grey, uint8, (H, W).
        target: Grey, uint8, (H, W).
        guess: Where the search starts; the identity if not given.

    Returns:
        From ``source`` to ``target``, the last entry 1; None if too few corners could be tracked.
    """
    corners = cv2.goodFeaturesToTrack(source, _CORNERS, _QUALITY, _APART)
    if corners is None or len(corners) < _FEWEST:
        return None
    start = corners if guess is None else cv2.perspectiveTransform(corners, guess).astype(np.float32)
    found, seen = _tracked(source, target, corners, start)
    back, returned = _tracked(target, source, found, corners)
    astray = np.linalg.norm((back - corners)[:, 0], axis=1)
    kept = seen & returned & (astray < _BACK)
    if kept.sum() < _FEWEST:
        return None
    motion, _ = cv2.findHomography(
        corners[kept], found[kept], cv2.USAC_MAGSAC, _INLIER, maxIters=2000, confidence=0.999
    )
    return None if motion is None else np.asarray(motion, dtype=np.float64)


def _tracked(
    source: Pixels, target: Pixels, points: NDArray[np.float32], start: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Follow points, (N, 1, 2), from where the search starts: where they went, and which were found, (N,)."""
    found, seen, _ = cv2.calcOpticalFlowPyrLK(
        source,
        target,
        points,
        start.copy(),
        winSize=(_WINDOW, _WINDOW),
        maxLevel=_LEVELS,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return found, seen[:, 0] > 0


def rescaled(motion: Homography, factor: float) -> Homography:
    """The same motion between frames scaled by a factor.

    Args:
        motion: Between frames of one size.
        factor: New size over that size.

    Returns:
        (3, 3). Pixel centres lie at integers, so that the outer edge of the frame is at -0.5.
    """
    shift = (factor - 1) / 2
    scale = np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1]])
    moved = scale @ motion @ np.linalg.inv(scale)
    return np.asarray(moved / moved[2, 2])
