"""Measures of the pixels of a mask: precision, recall, F and J (paper, Table 2), at many thresholds at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

PIXEL_MEASURES = ("precision", "recall", "f_measure", "j_mean")


def threshold_grid(step: float) -> list[float]:
    """List the thresholds that are tried: every multiple of ``step`` strictly between 0 and 1.

    Args:
        step: Distance between two thresholds, in (0, 0.5].

    Returns:
        Thresholds in ascending order; 0.05, 0.10, ... 0.95 for the paper's step of 0.05.
    """
    return [round(k * step, 6) for k in range(1, math.ceil(round(1 / step, 6)))]


def threshold_counts(prediction: Tensor, truth: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count pixels at every threshold at once: one histogram pass instead of one comparison per threshold.

    A pixel is predicted when its value is at or above the threshold; a NaN pixel is never predicted.

    Args:
        prediction: Soft masks, (B, 1, H, W), in [0, 1].
        truth: True masks, (B, 1, H, W), bool.
        thresholds: The T thresholds in ascending order, (T,).

    Returns:
        Three int64 tensors: pixels predicted and true, (B, T); predicted, (B, T); true, (B, 1).
    """
    frames, levels = len(prediction), len(thresholds) + 1
    values = prediction.detach().float().nan_to_num(nan=-1.0).flatten(1)  # (B, H*W)
    bins = torch.bucketize(values, thresholds.to(values), right=True, out_int32=True)  # thresholds the pixel reaches
    bins += levels * truth.flatten(1).int()
    bins += 2 * levels * torch.arange(frames, dtype=torch.int32, device=bins.device)[:, None]
    histogram = torch.bincount(bins.flatten(), minlength=2 * levels * frames).view(frames, 2, levels)
    reached = histogram.flip(-1).cumsum(-1).flip(-1)  # (B, 2, T+1): pixels that reach at least k thresholds
    return reached[:, 1, 1:], reached[:, :, 1:].sum(1), reached[:, 1, :1]


def pixel_scores(both: Tensor, predicted: Tensor, actual: Tensor) -> Tensor:
    """Turn pixel counts into precision, recall, F and J (paper, Table 2).

    Empty masks: where prediction and truth are both empty, all four are 1; where just one of them is, all four are 0.

    Args:
        both: Pixels predicted and true, (B, T).
        predicted: Pixels predicted, (B, T).
        actual: True pixels, (B, 1).

    Returns:
        Precision, recall, F (their harmonic mean) and J (intersection over union) in this order, (B, 4, T), float64.
    """
    hit, found, wanted = both.double(), predicted.double(), actual.double().expand(both.shape)
    union = found + wanted - hit
    scores = torch.stack(
        [
            hit / found.clamp(min=1),
            hit / wanted.clamp(min=1),
            2 * hit / (found + wanted).clamp(min=1),  # 2PR / (P + R), without its division by zero
            hit / union.clamp(min=1),
        ],
        dim=1,
    )
    return torch.where((union == 0)[:, None], torch.ones_like(scores), scores)
