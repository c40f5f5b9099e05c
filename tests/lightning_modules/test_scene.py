"""Scenes: what stands behind the subject, what is an error against it, and where the subject is sought."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_modules.geometry import box_area
from lightning_modules.losses import Reconstruction, ReconstructionLoss
from lightning_modules.networks import Inpainter
from lightning_modules.scene import Evidence, Inpainting, Plates, Scene, View, nearest_plate
from tests.tiny import CODE, WINDOW

BOX = torch.tensor([[0.0, 0.0, 0.9, 0.9]]).expand(3, 4)


def images() -> Tensor:
    return torch.rand(3, 3, 36, 48, generator=torch.Generator().manual_seed(1))


def evidence_of(image: Tensor) -> Tensor:
    evidence = torch.zeros_like(image[:, :1])
    evidence[..., 12:24, 16:32] = 0.75
    return evidence


def view(scene: Scene, training: bool = True, **batch: object) -> View:
    torch.manual_seed(0)
    return scene.view(batch, Inpainter((4, 8)).eval(), training)  # type: ignore[arg-type]


def test_an_edge_that_is_off_by_a_pixel_is_no_error_and_a_subject_is() -> None:
    image = torch.zeros(1, 3, 16, 16)
    image[..., 8:] = 1  # an edge of the scene
    plate = image.roll(1, dims=3)
    plate[..., 0] = 0
    image[..., 3:6, 2:5] = 0.5  # the subject
    error = (nearest_plate(plate, image, 1) - image).abs()
    assert error[..., 8:, :].max() == 0
    assert error[..., 3:6, 2:5].min() == 0.5
    assert (nearest_plate(plate, image, 0) - plate).abs().max() == 0
    assert (nearest_plate(plate.roll(2, dims=3), image, 1) - image).abs()[..., 8:, 4:12].max() == 1


def test_the_plate_is_laid_where_it_is_known_inside_the_hole_and_the_rest_is_painted() -> None:
    image = images()
    covered = torch.zeros_like(image[:, :1], dtype=torch.bool)
    covered[..., :24] = True
    seen = view(Plates(1.0), image=image, plate=torch.full_like(image, 0.75), covered=covered)
    seen.inpainter.forward = lambda image, hole: torch.lerp(image, torch.full_like(image, 0.25), hole)  # type: ignore[method-assign]
    hole = torch.zeros_like(image[:, :1])
    hole[..., 6:30, 12:36], hole[..., 16:20, 12:36] = 1, 0.5
    laid = seen.scene.fill(seen, hole)
    assert laid[..., 8, 16].eq(0.75).all() and laid[..., 8, 30].eq(0.25).all()
    torch.testing.assert_close(laid[..., 2, :], image[..., 2, :])
    painted = image[..., 18, 16] * 0.5 + 0.125
    torch.testing.assert_close(laid[..., 18, 16], (painted + 0.75) / 2)


def test_frames_are_repeated_in_turn_with_what_the_scene_needs() -> None:
    image = images()[:2]
    batch = {"image": image, "plate": image * 0.5, "covered": image[:, :1] > 0.5, "evidence": image[:, 1:2]}
    twice = view(Evidence(), mask=image, **batch).repeated(2)
    for name, value in batch.items():
        assert torch.equal(twice.batch[name], value[[0, 0, 1, 1]])  # type: ignore[literal-required]
    assert "mask" not in twice.batch and "plate" not in view(Inpainting(), **batch).repeated(2).batch


@pytest.mark.parametrize("scene", [Plates(), Evidence()])
def test_data_without_plates_are_refused_in_training_and_painted_outside(scene: Scene) -> None:
    with pytest.raises(ValueError, match=r"needs plate, covered.* set data.init_args.plates to static or temporal"):
        view(scene, image=images())
    seen, plain = view(scene, training=False, image=images()), view(Inpainting(), image=images())
    assert torch.equal(seen.scene.background(seen, BOX), plain.scene.background(plain, BOX))


def test_against_evidence_the_error_of_the_background_is_that_of_the_evidence() -> None:
    image = images()
    evidence = evidence_of(image)
    batch = {"image": image, "plate": image, "covered": evidence < 1, "evidence": evidence}
    seen = view(Evidence(), **batch)
    torch.testing.assert_close(seen.scene.error(seen, BOX), evidence.mean(dim=(1, 2, 3)))
    torch.testing.assert_close(seen.scene.swept_error(seen, BOX), evidence.mean(dim=(1, 2, 3)))
    perfect = view(Plates(), **batch)
    assert perfect.scene.error(perfect, BOX).abs().max() == 0


def test_a_mask_that_covers_all_evidence_leaves_no_foreground_error() -> None:
    image = images()
    evidence = evidence_of(image)
    seen = view(Evidence(), image=image, plate=image, covered=evidence > 0, evidence=evidence)
    reconstruction = ReconstructionLoss(Reconstruction(pixel_weight=2.0, perceptual_net=None))
    nothing, all_of_it, half = (
        seen.scene.loss(seen, BOX, image, mask, reconstruction)
        for mask in (torch.zeros_like(evidence), (evidence > 0).float(), (evidence > 0) * 0.5)
    )
    torch.testing.assert_close(nothing, 2 * evidence.mean(dim=(1, 2, 3)))
    assert all_of_it.abs().max() == 0
    torch.testing.assert_close(half, nothing / 4)


def test_boxes_follow_the_evidence_and_not_the_mask_where_that_is_asked_for() -> None:
    image = images()
    evidence = evidence_of(image)
    batch = {"image": image, "plate": image, "covered": evidence < 1, "evidence": evidence}

    def target(reach: float, mask: float) -> tuple[Tensor, Tensor]:
        seen = view(Evidence(reach=reach), **batch)
        return seen.scene.target(seen, BOX * 0.5, torch.full((3, 1, 8, 8), mask), 1.0, 0.01, (0.1, 0.9))

    assert not target(0.0, mask=0.0)[1].any() and target(0.0, mask=1.0)[1].all()
    empty, full = target(2.0, mask=0.0), target(2.0, mask=1.0)
    assert torch.equal(empty[0], full[0]) and empty[1].all() and full[1].all()
    assert not torch.equal(empty[0], target(0.0, mask=1.0)[0])


def test_evidence_needs_the_window_as_foreground() -> None:
    Evidence().require_segmenter(WINDOW)
    Plates().require_segmenter(CODE)
    with pytest.raises(ValueError, match=r"the scene Evidence does not go with the segmenter CodeSegmenter: .*Window"):
        Evidence().require_segmenter(CODE)


@pytest.mark.parametrize("reach", [-1.0, 0.5])
def test_what_is_out_of_range_is_refused(reach: float) -> None:
    with pytest.raises(ValueError, match=f"^reach of Evidence is {reach}, expected 0, or at least 1.$"):
        Evidence(reach=reach)
    for scene in (Inpainting, Plates, Evidence):
        with pytest.raises(ValueError, match=f"^growth of {scene.__name__} is -1, expected at least 1.$"):
            scene(growth=-1)


def density_gradient(error: Tensor, box: Tensor) -> Tensor:
    """Gradient of the error per area in a box where boxes learn from G; the inpainter errs by ``error`` everywhere."""
    spread = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
    seen = view(Inpainting(1.0), image=torch.zeros(len(box), 3, *error.shape[-2:]))
    seen.inpainter.forward = lambda image, hole: error.sqrt() * spread * hole  # type: ignore[method-assign]
    box = box.clone().requires_grad_()
    density = seen.scene.swept_error(seen, box) / box_area(box)
    (gradient,) = torch.autograd.grad(density.sum(), box)
    return gradient


def test_where_boxes_learn_from_g_the_error_counts_and_not_the_size() -> None:
    box = torch.tensor([[0.03, -0.02, 0.41, 0.33], [0.0, 0.1, 0.7, 0.5]])
    torch.testing.assert_close(density_gradient(torch.ones(1, 1, 48, 64), box), torch.zeros(2, 4), atol=1e-4, rtol=0)
    spot = torch.zeros(1, 1, 48, 64)
    spot[..., 12:36, 16:48] = 1  # the middle half of each axis
    assert density_gradient(spot, torch.tensor([[0.0, 0.0, 0.3, 0.3]])).abs().max() < 1e-4  # all inside: no better box
    wide = density_gradient(spot, torch.tensor([[0.1, 0.0, 0.7, 0.7]]))[0]
    torch.testing.assert_close(wide[2:], torch.full((2,), -0.25 / 0.7**3), atol=0.02, rtol=0)
    off = density_gradient(spot, torch.tensor([[0.4, 0.0, 0.3, 0.3]]))[0]
    assert off[0] < -1 and off[1].abs() < 1e-4  # toward the spot
