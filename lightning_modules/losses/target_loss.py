"""How far a mask is from its target, each pixel by its weight (beyond the paper)."""

import torch
from torch import Tensor
from torch.nn import functional

_DICE = 0.5  # weight of the overlap beside the cross-entropy
_SMOOTHING = 0.01  # of the weight: an empty mask is right where there is no target
_LEAST = 1e-6


def target_loss(mask: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted binary cross-entropy and soft Dice loss (Milletari et al. 2016) of a mask.

    The first is a mean over what has weight, times the mean weight of it: a frame counts by its weight, whatever the
    size of its box.

    Args:
        mask: (B, 1, H, W) in [0, 1].
        target: (B, 1, H, W) in [0, 1].
        weight: (B, 1, H, W), not negative.

    Returns:
        (B,).
    """
    with torch.autocast(mask.device.type, enabled=False):
        mask, target, weight = mask.float().clamp(_LEAST, 1 - _LEAST), target.float(), weight.float()
        over = (1, 2, 3)
        counted = (weight > 0).sum(dim=over).clamp_min(1)
        entropy = (functional.binary_cross_entropy(mask, target, reduction="none") * weight).sum(dim=over) / counted
        both, all_ = (weight * mask * target).sum(dim=over), (weight * (mask + target)).sum(dim=over)
        total = weight.sum(dim=over)
        least = _SMOOTHING * total + _LEAST
        return entropy + _DICE * total / counted * (1 - (2 * both + least) / (all_ + least))
