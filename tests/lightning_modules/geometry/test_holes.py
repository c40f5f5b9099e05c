"""Random holes of stage 1."""

import torch

from lightning_modules.geometry import random_holes


def test_holes_have_the_sides_asked_for_and_come_from_the_generator() -> None:
    holes = random_holes(500, (0.3, 0.5), generator=torch.Generator().manual_seed(1))
    assert holes[:, 2:].min() >= 0.3 and holes[:, 2:].max() <= 0.5
    assert holes[:, :2].abs().max() <= 1 and holes[:, :2].abs().max() > 0.9
    assert torch.equal(holes, random_holes(500, (0.3, 0.5), generator=torch.Generator().manual_seed(1)))
