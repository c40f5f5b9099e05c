"""The boundary F against hand-drawn masks, and against scipy's distances."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter

from callbacks.measures.boundary import boundary_scores
from tests.callbacks.toy import smooth_masks


def foreign_boundary(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """The DAVIS boundary F from the exact distances of scipy."""

    def edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        reach = {"size": 2, "origin": -1, "mode": "nearest"}  # a pixel, its right, its lower and its lower right one
        return np.asarray(maximum_filter(mask, **reach) != minimum_filter(mask, **reach))

    ours, true = edge(prediction), edge(truth)
    if not ours.any() or not true.any():
        return float(ours.any() == true.any())
    radius = math.ceil(0.008 * math.hypot(*truth.shape))
    precision = (distance_transform_edt(~true)[ours] <= radius).mean()
    recall = (distance_transform_edt(~ours)[true] <= radius).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


@pytest.mark.parametrize("size", [(4, 4), (30, 40), (40, 124)])
def test_boundary_equals_all_distances(size: tuple[int, int]) -> None:
    """The dilated boundaries match where all distances between boundary pixels say so (radius 1, 1 and 2)."""
    soft, truth = smooth_masks(1, 5, size)
    truth[4] = True  # fills the frame: no boundary
    for frame in range(5):
        masks = soft[frame] >= torch.tensor([0.3, 0.5, 0.7])[:, None, None]
        expected = [foreign_boundary(mask, truth[frame, 0].numpy()) for mask in masks.numpy()]
        assert boundary_scores(masks.numpy(), truth[frame, 0].numpy()) == pytest.approx(expected, abs=1e-12)


def test_boundary_hand_drawn() -> None:
    """One pixel aside is within the tolerance of a small frame, two are not; empty masks follow DAVIS."""
    truth = np.zeros((4, 8), dtype=bool)
    truth[1:3, 1:4] = True
    one, two = np.roll(truth, 1, axis=1), np.roll(truth, 2, axis=1)
    empty = np.zeros_like(truth)
    scores = boundary_scores(np.stack([truth, one, two, empty]), truth)
    assert scores[:2].tolist() == [1, 1]
    assert 0 < scores[2] < 1
    assert scores[3] == 0
    assert boundary_scores(np.stack([empty, truth]), empty).tolist() == [1, 0]
