"""Plates take the place of the painted scene where they are known, and small misregistration is forgiven."""

import torch

from lightning_modules.background import Scene, nearest_plate


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


def test_the_plate_is_laid_where_it_is_known_inside_the_hole() -> None:
    painted = torch.full((1, 3, 2, 2), 0.25)
    covered = torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    hole = torch.tensor([[[[1.0, 1.0], [0.0, 0.5]]]])
    laid = Scene(torch.full((1, 3, 2, 2), 0.75), covered.bool()).laid_into(painted, hole)
    torch.testing.assert_close(laid[0, 0], torch.tensor([[0.75, 0.25], [0.25, 0.5]]))


def test_a_scene_is_repeated_frame_by_frame_with_its_evidence() -> None:
    plate = torch.rand(2, 3, 4, 4)
    scene = Scene(plate, plate[:, :1] > 0.5, plate[:, 1:2]).repeated(2)
    assert torch.equal(scene.plate, plate[[0, 0, 1, 1]]) and torch.equal(scene.covered, scene.plate[:, :1] > 0.5)
    assert scene.evidence is not None and torch.equal(scene.evidence, scene.plate[:, 1:2])
