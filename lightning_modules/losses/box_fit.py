"""Boxes fitted to their own masks, or to the evidence around them (beyond the paper)."""

import torch
from torch import Tensor

from lightning_modules.geometry import crop, grow, tighten

_LEAST_COVER = 0.05  # of its window: a fainter mask says nothing of where the subject ends


def mask_target(
    box: Tensor,
    window_mask: Tensor,
    margin: float,
    trim: float,
    size_range: tuple[float, float],
    least_cover: float = _LEAST_COVER,
) -> tuple[Tensor, Tensor]:
    """Where a box should be, by the mask in it: the mask's extent, grown.

    Args:
        box: (B, 4).
        window_mask: The mask in each box, (B, 1, h, w).
        margin: The extent is grown by this factor, so that a box whose mask touches its side grows.
        trim: Share of the mask that may lie beyond each side of the extent: specks do not hold a box open.
        size_range: Smallest and largest box, fractions of the frame.
        least_cover: Share of its window that a mask must cover to say anything.

    Returns:
        The target, (B, 4), a constant, centre in the frame and size in range; and whether the mask covers enough of
        its window to say anything, (B,), bool.
    """
    tight, found = tighten(box, window_mask, trim)
    found &= (window_mask >= 0.5).float().mean(dim=(1, 2, 3)) >= least_cover
    target = grow(tight, margin)
    return torch.cat([target[:, :2].clamp(-1, 1), target[:, 2:].clamp(*size_range)], dim=1), found


def evidence_target(
    box: Tensor, evidence: Tensor, reach: float, margin: float, trim: float, size_range: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Where a box should be, by the evidence in it and around it.

    Args:
        box: (B, 4).
        evidence: How surely each pixel of the frame is not the scene, (B, 1, H, W) in [0, 1].
        reach: The box is grown by this factor to look for evidence.
        margin: As for :func:`mask_target`.
        trim: As for :func:`mask_target`.
        size_range: As for :func:`mask_target`.

    Returns:
        As :func:`mask_target`, with evidence above one half for the mask.
    """
    around = grow(box.detach(), reach)
    window = crop(evidence, around, (evidence.shape[-2], evidence.shape[-1]))
    return mask_target(around, window, margin, trim, size_range, _LEAST_COVER / reach**2)


def box_fit(box: Tensor, target: Tensor, found: Tensor) -> Tensor:
    """Squared distance of boxes from where their own masks, or the evidence, say the subject is.

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
