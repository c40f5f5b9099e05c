"""Weak priors on the box, the confidence and the mask (Sec. 3.2; appendix, Eq. 7)."""

from typing import Literal

import torch
from torch import Tensor

MaskPriorKind = Literal["none", "l1", "l2", "v"]


def box_prior(box: Tensor, size: float = 0.4) -> Tensor:
    """Squared distance of the batch-mean size from a target and of the batch-mean centre from the frame's centre.

    On means: each single box stays free to be large, small or off-centre.

    Args:
        box: (B, 4).
        size: Target half-extent, a fraction of the frame's width and height.

    Returns:
        Scalar.
    """
    mean = box.mean(dim=0)
    return mean[:2].square().sum() + (mean[2:] - mean.new_tensor(size)).square().sum()


def confidence_prior(probability: Tensor) -> Tensor:
    """``p^2`` of the sampled cells, against early collapse; (...) -> scalar."""
    return probability.square().mean()


def reach_prior(probability: Tensor, offset: Tensor) -> Tensor:
    """``E_{c~p}[d_c^2]``, the expected squared distance of a box from its cell, summed over all cells (Eq. 3).

    Args:
        probability: ``p``, (B, C).
        offset: Of each box from its cell, x and y, (B, C, 2).

    Returns:
        (B,); its gradient is that in ``p`` alone.
    """
    return (probability * offset.detach().square().sum(dim=-1)).sum(dim=1)


def mask_prior(mean: Tensor, kind: MaskPriorKind = "v", level: float = 0.005) -> Tensor:
    """Prior on the mean mask value ``m`` of each image.

    ``l1`` is m, ``l2`` is m^2, ``v`` is ``|m - level| + level``, Eq. (7): it pushes m above the level first and keeps
    it sparse later.

    Args:
        mean: m, (B,), in [0, 1].
        kind: ``none``, ``l1``, ``l2`` or ``v``.
        level: The paper's lambda; it sweeps 0.001, 0.0025, 0.005 and 0.01.

    Returns:
        (B,).
    """
    match kind:
        case "none":
            return torch.zeros_like(mean)
        case "l1":
            return mean
        case "l2":
            return mean.square()
        case "v":
            return (mean - level).abs() + level
