"""Random rectangles for stage 1: what the inpainter has to inpaint (appendix A.1)."""

import torch
from torch import Generator, Tensor


def random_holes(
    count: int,
    side: tuple[float, float] = (0.3, 0.5),
    device: torch.device | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw one box per frame: each side uniform in ``side``, the centre anywhere.

    Args:
        count: How many.
        side: Smallest and largest side, fractions of the frame's width and height, 0 < smallest <= largest <= 1.
        device: Where to put them; they are drawn on the CPU, so that a seed gives the same holes everywhere.
        generator: Source of randomness on the CPU; the global one if not given.

    Returns:
        Boxes (cx, cy, sx, sy), (count, 4), see :mod:`lightning_modules.geometry.boxes`.
    """
    low, high = side
    draw = torch.rand(count, 4, generator=generator)
    return torch.cat([draw[:, :2] * 2 - 1, low + (high - low) * draw[:, 2:]], dim=1).to(device)
