"""Evidence: bounded errors in units of what is usual in the frame."""

import torch

from lightning_modules.losses import plate_evidence

SUBJECT = (slice(10, 30), slice(10, 30))


def frames(noise: float, contrast: float = 0.3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A scene, a frame of it with noise and a subject, and where the scene is known."""
    generator = torch.Generator().manual_seed(0)
    scene = torch.rand(2, 3, 48, 64, generator=generator) * 0.5 + 0.25
    image = scene + noise * torch.randn(scene.shape, generator=generator)
    image[..., SUBJECT[0], SUBJECT[1]] += contrast
    return scene, image, torch.ones(2, 1, 48, 64, dtype=torch.bool)


def test_the_subject_is_near_one_and_the_rest_near_what_its_scale_says() -> None:
    found = plate_evidence(*frames(0.02), scale=4.0)
    assert found.shape == (2, 1, 48, 64) and 0 <= found.min() and found.max() < 1
    assert found[..., 14:26, 14:26].min() > 0.8
    torch.testing.assert_close(found[..., 40:, 40:].median(), torch.tensor(1 / 17), rtol=0.2, atol=0)


def test_noise_and_contrast_together_change_nothing() -> None:
    one, two = plate_evidence(*frames(0.02, 0.1), scale=4.0), plate_evidence(*frames(0.04, 0.2), scale=4.0)
    torch.testing.assert_close(one, two, atol=0.02, rtol=0)


def test_what_is_not_known_is_evidence_of_nothing_and_does_not_count() -> None:
    scene, image, known = frames(0.02)
    whole = plate_evidence(scene, image, known, 4.0)
    image[..., 40:] += 0.4
    known[..., 36:] = False
    found = plate_evidence(scene, image, known, 4.0)
    assert found[..., 36:].abs().max() == 0
    torch.testing.assert_close(found[..., :30], whole[..., :30], atol=0.05, rtol=0)
    assert plate_evidence(scene, image, torch.zeros_like(known), 4.0).abs().max() == 0


def test_holes_in_the_subject_are_filled() -> None:
    scene, image, known = frames(0.02)
    image[..., 20, 10:30] = scene[..., 20, 10:30]  # a row that looks like the scene
    assert plate_evidence(scene, image, known, 4.0)[..., 20, 14:26].min() > 0.5


def test_a_perfect_plate_gives_no_evidence() -> None:
    scene, _, known = frames(0.0)
    assert plate_evidence(scene, scene, known, 4.0).abs().max() == 0
