"""What the scene would show without its subject: beyond the paper's inpainter, plates from other frames."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

BackgroundName = Literal["inpainting", "static", "temporal"]


def nearest_plate(plate: Tensor, image: Tensor, radius: int = 1) -> Tensor:
    """Forgive a plate that is registered a little wrong: of its pixels nearby take the one that is nearest in colour.

    An edge of a fence that is off by a pixel is then no error, and a subject of another colour still is.

    Args:
        plate: (B, 3, H, W).
        image: (B, 3, H, W).
        radius: How far to look, in pixels; 0 returns the plate.

    Returns:
        (B, 3, H, W).
    """
    height, width = plate.shape[-2:]
    padded = F.pad(plate, [radius] * 4, mode="replicate")
    best, least = plate, (plate - image).square().sum(dim=1, keepdim=True)
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            shifted = padded[..., dy : dy + height, dx : dx + width]
            error = (shifted - image).square().sum(dim=1, keepdim=True)
            best, least = torch.where(error < least, shifted, best), torch.minimum(error, least)
    return best


def lay_plate(painted: Tensor, known: Tensor, hole: Tensor) -> Tensor:
    """Show the plate in the hole where there is one, and what was painted elsewhere.

    Args:
        painted: ``I(I, b)``, (B, 3, H, W).
        known: Plate and where it is known, 0 or 1, (B, 4, H, W).
        hole: (B, 1, H, W) in [0, 1].

    Returns:
        (B, 3, H, W).
    """
    return torch.lerp(painted, known[:, :3], known[:, 3:] * hole)
