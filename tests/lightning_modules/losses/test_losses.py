"""Losses: values by hand, gradients, refusals."""

import pytest
import torch

from lightning_modules.losses import (
    PerceptualDistance,
    Reconstruction,
    ReconstructionLoss,
    box_prior,
    confidence_prior,
    mask_prior,
    pixel_distance,
    reach_prior,
    squared_error,
)


def test_pixel_distance_is_in_units_of_imagenets_deviation() -> None:
    target = torch.zeros(2, 3, 4, 4)
    prediction = target.clone()
    prediction[0, :, 0, 0] = torch.tensor([0.229, 0.224, 0.225])  # one deviation in one pixel of 16
    torch.testing.assert_close(pixel_distance(prediction, target), torch.tensor([1 / 16, 0.0]))
    assert squared_error(prediction, target).shape == (2, 1, 4, 4)


def test_pixel_distance_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        pixel_distance(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))


def test_the_perceptual_distance_is_frozen_and_leaves_no_trace_in_checkpoints() -> None:
    distance = PerceptualDistance("alex", random_trunk=True)
    holder = torch.nn.ModuleDict({"distance": distance, "conv": torch.nn.Conv2d(3, 3, 1)}).train()
    assert not any(module.training for module in distance.modules())
    assert not any(p.requires_grad for p in distance.parameters())
    assert set(holder.state_dict()) == {"conv.weight", "conv.bias"}
    holder.load_state_dict(holder.state_dict(), strict=True)


def test_the_perceptual_distance_is_zero_for_equal_images_and_has_a_gradient_for_others() -> None:
    distance = PerceptualDistance("alex", random_trunk=True)
    image = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(distance(image, image), torch.zeros(2))
    other = torch.rand(2, 3, 64, 64, requires_grad=True)
    distance(other, image).sum().backward()
    assert other.grad is not None and other.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"perceptual_net": "resnet"}, "is resnet, expected alex, vgg, squeeze or null."),
        ({"pixel_weight": -1.0}, "pixel_weight of Reconstruction is -1.0, expected at least 0."),
        ({"perceptual_weight": -1.0}, "perceptual_weight of Reconstruction is -1.0, expected at least 0."),
    ],
)
def test_an_impossible_reconstruction_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Reconstruction(**arguments)  # type: ignore[arg-type]


def test_the_reconstruction_loss_is_the_weighted_sum() -> None:
    loss = ReconstructionLoss(Reconstruction(3.0, 2.0, None))
    a, b = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(loss(a, b), 3 * pixel_distance(a, b))
    assert set(loss.terms(a, b)) == {"pixel"}


def test_the_box_prior_acts_on_batch_means() -> None:
    balanced = torch.tensor([[-0.5, 0.2, 0.3, 0.4], [0.5, -0.2, 0.5, 0.4]])
    torch.testing.assert_close(box_prior(balanced, 0.4), torch.tensor(0.0))
    torch.testing.assert_close(box_prior(balanced, 0.2), torch.tensor(2 * 0.2**2))
    moved = balanced + torch.tensor([0.1, 0.0, 0.0, 0.0])
    torch.testing.assert_close(box_prior(moved, 0.4), torch.tensor(0.01))


def test_the_reach_prior_is_the_expected_squared_distance_and_reaches_p_alone() -> None:
    cells = torch.tensor([[5, 6, 9, 10]])  # the live cells of a 4x4 grid
    probability = torch.zeros(1, 16).scatter(1, cells, torch.tensor([[0.1, 0.2, 0.3, 0.4]])).requires_grad_()
    offset = torch.full((1, 16, 2), 9.0)  # what the outer ring proposes costs nothing: p is 0 there
    offset[0, cells[0]] = torch.tensor([[0.0, 0.0], [3.0, 4.0], [-1.0, 0.0], [0.5, -0.5]])
    offset.requires_grad_()
    value = reach_prior(probability, offset)
    torch.testing.assert_close(value, torch.tensor([0.2 * 25 + 0.3 * 1 + 0.4 * 0.5]))
    value.sum().backward()
    assert offset.grad is None and probability.grad is not None
    torch.testing.assert_close(probability.grad[0, cells[0]], torch.tensor([0.0, 25.0, 1.0, 0.5]))


def test_the_confidence_prior_is_the_mean_square() -> None:
    torch.testing.assert_close(confidence_prior(torch.tensor([0.5, 1.0])), torch.tensor(0.625))


@pytest.mark.parametrize(("kind", "expected"), [("none", 0.0), ("l1", 0.2), ("l2", 0.04), ("v", 0.2)])
def test_mask_priors_by_hand(kind: str, expected: float) -> None:
    value = mask_prior(torch.tensor([0.2]), kind, 0.05)  # type: ignore[arg-type]
    torch.testing.assert_close(value, torch.tensor([expected]))


def test_the_v_prior_pushes_up_below_its_level_and_down_above() -> None:
    for mean, sign in ((0.001, -1), (0.5, 1)):
        m = torch.tensor([mean], requires_grad=True)
        mask_prior(m, "v", 0.005).sum().backward()
        assert m.grad is not None and m.grad.item() == sign
    torch.testing.assert_close(mask_prior(torch.tensor([0.005]), "v", 0.005), torch.tensor([0.005]))
