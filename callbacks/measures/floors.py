"""Predictions that have not looked at the frame: what they score is the floor of every measure."""

from __future__ import annotations

import torch
from torch import Tensor

BLOB_SIGMA = 0.25
"""Standard deviation of the centred blob, as a share of each of the frame's axes."""


def floor_predictions(truth: Tensor, threshold: float) -> dict[str, tuple[Tensor, Tensor]]:
    """Predict without looking at the frame.

    Args:
        truth: True masks, (B, 1, H, W); only the shape and device matter.
        threshold: Where the blob's mask is cut to find its box, in (0, 1).

    Returns:
        By floor: the soft mask, (B, 1, H, W), and the box (cx, cy, sx, sy), (B, 4).
    """
    frames, _, height, width = truth.shape
    x = (torch.arange(width, device=truth.device) + 0.5) / width - 0.5  # shares of the frame, 0 at its centre
    y = (torch.arange(height, device=truth.device) + 0.5) / height - 0.5
    blob = torch.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * BLOB_SIGMA**2))  # (H, W)
    inside = blob >= threshold
    extent = torch.stack([inside.any(0).float().mean(), inside.any(1).float().mean()])  # (2,): sx, sy
    box = torch.cat([torch.zeros_like(extent), extent])
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0], device=truth.device)
    return {
        "whole_frame": (torch.ones(truth.shape, device=truth.device), whole.expand(frames, 4)),
        "centred_blob": (blob.expand(truth.shape), box.expand(frames, 4)),
    }
