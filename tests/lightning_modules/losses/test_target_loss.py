"""The distance of a mask from its target, against torch's own terms and closed forms."""

import pytest
import torch
from torch.nn import functional

from lightning_modules.losses import target_loss


def planes(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(3, 1, 6, 8, generator=generator) * 0.98 + 0.01
    return mask, (torch.rand(3, 1, 6, 8, generator=generator) > 0.5).float()


def test_with_even_weights_it_is_cross_entropy_and_half_the_dice_loss() -> None:
    mask, target = planes()
    found = target_loss(mask, target, torch.ones_like(mask))
    for row in range(3):
        entropy = functional.binary_cross_entropy(mask[row], target[row])
        dice = 1 - (2 * (mask[row] * target[row]).sum() + 0.48) / (mask[row].sum() + target[row].sum() + 0.48)
        assert found[row] == pytest.approx(float(entropy + 0.5 * dice), abs=1e-5)


def test_a_frame_counts_by_its_weight() -> None:
    mask, target = planes()
    whole = target_loss(mask, target, torch.ones_like(mask))
    assert torch.allclose(target_loss(mask, target, torch.full_like(mask, 0.3)), 0.3 * whole, atol=1e-5)
    assert not target_loss(mask, target, torch.zeros_like(mask)).any()


def test_pixels_without_weight_do_not_count() -> None:
    mask, target = planes()
    weight = torch.ones_like(mask)
    weight[..., 4:] = 0
    other = target.clone()
    other[..., 4:] = 1 - other[..., 4:]
    assert torch.equal(target_loss(mask, target, weight), target_loss(mask, other, weight))
    assert torch.allclose(
        target_loss(mask, target, weight), target_loss(*(x[..., :4] for x in (mask, target, weight))), atol=1e-6
    )


def test_a_mask_that_is_right_costs_nothing_and_empty_is_right_where_nothing_is() -> None:
    _, target = planes()
    assert target_loss(target, target, torch.ones_like(target)).abs().max() < 1e-4
    nothing = torch.zeros_like(target)
    assert target_loss(nothing, nothing, torch.ones_like(target)).abs().max() < 0.01
