"""Measures of pixels against hand-drawn masks, and against torchmetrics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_f1_score,
    binary_jaccard_index,
    binary_precision,
    binary_recall,
)

from callbacks.measures.pixels import pixel_scores, threshold_counts, threshold_grid
from tests.callbacks.toy import smooth_masks

DRAWN = {
    "equal": (["....", ".##.", ".##.", "...."], ["....", ".##.", ".##.", "...."], (1, 1, 1, 1)),
    "half": (["....", ".#..", ".#..", "...."], ["....", ".##.", ".##.", "...."], (1, 0.5, 2 / 3, 0.5)),
    "twice": (["....", "####", "....", "...."], ["....", ".##.", "....", "...."], (0.5, 1, 2 / 3, 0.5)),
    "apart": (["##..", "....", "....", "...."], ["....", "....", "....", "..##"], (0, 0, 0, 0)),
    "both empty": (["....", "....", "....", "...."], ["....", "....", "....", "...."], (1, 1, 1, 1)),
    "no prediction": (["....", "....", "....", "...."], ["....", ".#..", "....", "...."], (0, 0, 0, 0)),
    "no truth": (["....", ".#..", "....", "...."], ["....", "....", "....", "...."], (0, 0, 0, 0)),
}


def draw(rows: Sequence[str]) -> Tensor:
    """Turn rows of dots and hashes into a mask, (1, 1, H, W)."""
    return torch.tensor([[character == "#" for character in row] for row in rows])[None, None]


def foreign_scores(prediction: Tensor, truth: Tensor) -> list[float]:
    """Precision, recall, F and J as torchmetrics counts them; empty masks as the DAVIS benchmark has them."""
    if not prediction.any() and not truth.any():
        return [1.0] * 4
    measures = (binary_precision, binary_recall, binary_f1_score, binary_jaccard_index)
    return [float(measure(prediction.int(), truth.int())) for measure in measures]


@pytest.mark.parametrize("name", DRAWN)
def test_hand_drawn(name: str) -> None:
    """Hand-drawn masks score what one counts by hand, empty ones included."""
    ours, true, expected = DRAWN[name]
    counts = threshold_counts(draw(ours).float(), draw(true), torch.tensor([0.5]))
    assert tuple(pixel_scores(*counts)[0, :, 0].tolist()) == expected
    assert foreign_scores(draw(ours), draw(true)) == pytest.approx(expected)


def test_threshold_is_inclusive_and_nan_is_background() -> None:
    """A value at the threshold is inside, NaN is outside at every threshold."""
    prediction = torch.tensor([0.5, 0.4999, math.nan, 1.0]).view(1, 1, 2, 2)
    both, predicted, actual = threshold_counts(prediction, torch.ones(1, 1, 2, 2).bool(), torch.tensor([0.25, 0.5]))
    assert predicted.tolist() == both.tolist() == [[3, 2]]
    assert actual.tolist() == [[4]]


def test_all_thresholds_at_once_are_what_torchmetrics_counts_one_by_one() -> None:
    """One histogram gives what comparing and counting at each threshold gives."""
    grid = torch.tensor(threshold_grid(0.05))
    assert len(grid) == 19
    soft, truth = smooth_masks(0, 6, (20, 26))
    soft[0, 0, 0, :19] = grid  # values exactly at the thresholds
    scores = pixel_scores(*threshold_counts(soft, truth, grid))
    for frame in range(6):
        for level, threshold in enumerate(grid):
            expected = foreign_scores(soft[frame, 0] >= threshold, truth[frame, 0])
            assert scores[frame, :, level].tolist() == pytest.approx(expected, abs=1e-6)
