"""Bounded errors in units of what is usual in the frame."""

import torch

from lightning_modules.losses import pixel_distance, robust_weight, squared_error, usual_error


def frames(noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A scene, and a frame of it with noise and a subject."""
    generator = torch.Generator().manual_seed(0)
    scene = torch.rand(2, 3, 48, 64, generator=generator) * 0.5 + 0.25
    image = scene + noise * torch.randn(scene.shape, generator=generator)
    image[..., 10:30, 10:30] += 0.25
    return scene, image


def test_the_usual_error_is_that_of_the_scene_whatever_the_subject() -> None:
    known = torch.ones(2, 1, 48, 64, dtype=torch.bool)
    scene, image = frames(0.02)
    found = usual_error(scene, image, known)
    assert found.shape == (2, 1, 1, 1)
    torch.testing.assert_close(found.flatten(), torch.full((2,), 0.02 / 0.225), rtol=0.15, atol=0)
    image[..., 10:30, 10:30] += 0.5
    torch.testing.assert_close(usual_error(scene, image, known), found, rtol=1e-3, atol=0)
    assert (usual_error(*frames(0.04), known) / found).allclose(torch.tensor(2.0), rtol=0.1)


def test_what_is_not_known_does_not_count_and_nothing_known_gives_the_floor() -> None:
    scene, image = frames(0.02)
    known = torch.ones(2, 1, 48, 64, dtype=torch.bool)
    expected = usual_error(scene, image, known)
    image[..., 32:] += 0.4
    known[..., 30:] = False
    torch.testing.assert_close(usual_error(scene, image, known), expected, rtol=0.1, atol=0)
    assert usual_error(scene, image, torch.zeros_like(known)).flatten().tolist() == [0.05000000074505806] * 2


def test_the_weighted_error_is_half_at_the_scale_and_never_more_than_one() -> None:
    scene = torch.zeros(3, 3, 1, 1)
    image = torch.tensor([0.0, 0.1, 10.0]).view(3, 1, 1, 1).expand(3, 3, 1, 1)
    scale = squared_error(image, scene)[1].sqrt().expand(3, 1, 1, 1)
    bounded = pixel_distance(scene, image, robust_weight(scene, image, scale))
    torch.testing.assert_close(bounded, torch.tensor([0.0, 0.5, 1.0]), atol=1e-3, rtol=0)
