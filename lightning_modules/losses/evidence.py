"""How surely each pixel is not the scene that a plate shows (beyond the paper)."""

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from lightning_modules.losses.reconstruction import squared_error

_LEAST_USUAL = 0.05  # of ImageNet's standard deviation, about 3 of 255: noise of a camera that stands still


def plate_evidence(plate: Tensor, image: Tensor, covered: Tensor, scale: float) -> Tensor:
    """The smoothed error e of a plate, bounded and in units of what is usual in its frame: ``e^2 / (e^2 + s^2)``.

    Usual is the median of e over the frame: the subject fills less than half of it, so what the median tells of is
    noise, blur and misregistration, of which each clip has its own; s is that times ``scale``. The bound is that of
    Geman and McClure (1987): a subject in the colours of the scene counts nearly as much as one that stands out.
    Smoothing fills what by chance looks like the scene.

    Args:
        plate: (B, 3, H, W) in [0, 1].
        image: (B, 3, H, W) in [0, 1].
        covered: Where the plate shows anything, (B, 1, H, W), bool; elsewhere is evidence of nothing.
        scale: Error that counts half, in units of the usual one.

    Returns:
        (B, 1, H, W) in [0, 1), float32, a constant.
    """
    with torch.no_grad(), torch.autocast(image.device.type, enabled=False):
        error = squared_error(plate, image).sqrt() * covered
        smooth = gaussian_blur2d(error, (7, 7), (1.5, 1.5))
        usual = smooth.masked_fill(~covered, torch.nan).flatten(1).nanmedian(dim=1).values
        unit = scale * usual.nan_to_num(nan=_LEAST_USUAL).clamp_min(_LEAST_USUAL).view(-1, 1, 1, 1)
        return covered * smooth.square() / (smooth.square() + unit.square())
