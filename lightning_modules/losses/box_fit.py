"""Boxes fitted to their own masks (beyond the paper)."""

import torch
from torch import Tensor

from lightning_modules.geometry import grow, tighten

_LEAST_COVER = 0.05  # of its window: a fainter mask says nothing of where the subject ends


def mask_target(
    box: Tensor, window_mask: Tensor, margin: float, trim: float, size_range: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Where a box should be, by the mask in it: the mask's extent, grown.

    Args:
        box: (B, 4).
        window_mask: The mask in each box, (B, 1, h, w).
        margin: The extent is grown by this factor, so that a box whose mask touches its side grows.
        trim: Share of the mask that may lie beyond each side of the extent: specks do not hold a box open.
        size_range: Smallest and largest box, fractions of the frame.

    Returns:
        The target, (B, 4), a constant, centre in the frame and size in range; and whether the mask covers enough of
        its window to say anything, (B,), bool.
    """
    tight, found = tighten(box, window_mask, trim)
    found &= (window_mask >= 0.5).float().mean(dim=(1, 2, 3)) >= _LEAST_COVER
    target = grow(tight, margin)
    return torch.cat([target[:, :2].clamp(-1, 1), target[:, 2:].clamp(*size_range)], dim=1), found


def box_fit(box: Tensor, target: Tensor, found: Tensor) -> Tensor:
    """Squared distance of boxes from where their own masks say the subject is.

    The mean-shift step of CAMShift (Bradski 1998) as a loss: with a target a little larger than the mask's extent, a
    box shrinks onto its mask, and grows where the mask touches its side.

    Args:
        box: (B, 4).
        target: (B, 4), a constant.
        found: Which targets count, (B,), bool.

    Returns:
        Scalar; 0 if none counts.
    """
    distance = (box - target.detach()).square().sum(dim=1)
    return (distance * found).sum() / found.sum().clamp_min(1)
