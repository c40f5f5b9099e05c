"""The boundary F of DAVIS: how much of the outline of a mask lies near the true one."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

BOUNDARY_TOLERANCE = 0.008
"""Distance, as a share of the frame's diagonal, within which two boundary pixels match (DAVIS)."""


def boundary_map(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the pixels that differ from their right, lower or lower right neighbour (DAVIS ``seg2bmap``).

    The frame's own edge is no boundary: a mask that fills the frame has none.

    Args:
        mask: Masks, (..., H, W).

    Returns:
        Boundary pixels, (..., H, W).
    """
    edge: NDArray[np.bool_] = np.zeros_like(mask)
    edge[..., :, :-1] |= mask[..., :, :-1] ^ mask[..., :, 1:]
    edge[..., :-1, :] |= mask[..., :-1, :] ^ mask[..., 1:, :]
    edge[..., :-1, :-1] |= mask[..., :-1, :-1] ^ mask[..., 1:, 1:]
    return edge


@lru_cache(maxsize=8)
def _disk(radius: int) -> NDArray[np.uint8]:
    """Build the structuring element x^2 + y^2 <= radius^2, (2r+1, 2r+1)."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk: NDArray[np.uint8] = (x * x + y * y <= radius * radius).astype(np.uint8)
    return disk


def boundary_scores(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute the DAVIS boundary F of one frame for several predictions of it.

    A boundary pixel matches when the other boundary comes within ceil(0.008 * diagonal) pixels of it; precision and
    recall are the shares of matched pixels, F their harmonic mean. Without any boundary on either side F is 1, with
    one on one side only it is 0.

    Args:
        prediction: Binary masks of one frame, (T, H, W), e.g. one soft mask at T thresholds.
        truth: The frame's true mask, (H, W).

    Returns:
        Boundary F, (T,), in [0, 1].
    """
    height, width = truth.shape
    disk = _disk(math.ceil(BOUNDARY_TOLERANCE * math.hypot(height, width)))
    true_edge = boundary_map(truth)
    near_truth = cv2.dilate(true_edge.view(np.uint8), disk).view(np.bool_)
    true_pixels = int(true_edge.sum())
    scores = np.zeros(len(prediction))
    for k, mask in enumerate(prediction):
        edge = boundary_map(mask)
        pixels = int(edge.sum())
        if not pixels or not true_pixels:
            scores[k] = float(pixels == true_pixels)
            continue
        near_edge = cv2.dilate(edge.view(np.uint8), disk).view(np.bool_)
        precision = (edge & near_truth).sum() / pixels
        recall = (true_edge & near_edge).sum() / true_pixels
        scores[k] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores
