"""What the scene would show without its subject: beyond the paper's inpainter, plates from other frames."""

from dataclasses import dataclass
from typing import Literal, Self

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


@dataclass(frozen=True)
class Scene:
    """What is known of the scene behind the subject.

    Attributes:
        plate: (B, 3, H, W) in [0, 1].
        covered: Where it is known, (B, 1, H, W), bool.
        evidence: How surely each pixel is not the scene, (B, 1, H, W) in [0, 1], measured where the plate was made;
            None leaves it to the error of the background.
    """

    plate: Tensor
    covered: Tensor
    evidence: Tensor | None = None

    def repeated(self, times: int) -> Self:
        """Each frame's scene so many times in turn, (B * times, ...)."""
        evidence = None if self.evidence is None else self.evidence.repeat_interleave(times, 0)
        return type(self)(self.plate.repeat_interleave(times, 0), self.covered.repeat_interleave(times, 0), evidence)

    def laid_into(self, painted: Tensor, hole: Tensor) -> Tensor:
        """Show the plate in the hole where there is one, and what was painted elsewhere.

        Args:
            painted: ``I(I, b)``, (B, 3, H, W).
            hole: (B, 1, H, W) in [0, 1].

        Returns:
            (B, 3, H, W).
        """
        return torch.lerp(painted, self.plate, self.covered * hole)
