"""Errors measured by what is usual in their frame, and bounded (beyond the paper)."""

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from lightning_modules.losses.reconstruction import squared_error

_LEAST_SCALE = 0.05  # of ImageNet's standard deviation, about 3 of 255: noise of a camera that stands still


def usual_error(prediction: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """How far off a prediction of the whole scene usually is in a frame: the median of its smoothed error.

    The subject fills less than half of the frame, so it has no part in the median: what is left is noise, blur and
    misregistration, of which each clip has its own.

    Args:
        prediction: (B, 3, H, W) in [0, 1].
        target: (B, 3, H, W) in [0, 1].
        known: Where there is a prediction, (B, 1, H, W), bool.

    Returns:
        Root mean square over channels, in units of :func:`squared_error`'s root, (B, 1, 1, 1); at least 0.05.
    """
    error = squared_error(prediction, target).sqrt()
    smooth = gaussian_blur2d(error, (7, 7), (1.5, 1.5))
    median = smooth.masked_fill(~known, torch.nan).flatten(1).nanmedian(dim=1).values
    return median.nan_to_num(nan=_LEAST_SCALE).clamp_min(_LEAST_SCALE).view(-1, 1, 1, 1)


def robust_weight(prediction: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Weights that turn the squared error e of a background into ``e / (e + scale^2)`` (Geman and McClure 1987).

    Half where the error is as large as the scale, and never more than 1: a subject in the colours of the scene counts
    nearly as much as one that stands out, and in every clip alike.

    Args:
        prediction: Background, (B, 3, H, W) in [0, 1].
        target: Frame, (B, 3, H, W) in [0, 1].
        scale: (B, 1, 1, 1), see :func:`usual_error`.

    Returns:
        (B, 1, H, W), float32, a constant.
    """
    return 1 / (squared_error(prediction, target).detach() + scale.square())
