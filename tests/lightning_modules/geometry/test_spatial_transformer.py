"""Crop and paste, held against torch's own affine grid."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.geometry import crop, focal_bump, paste

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
BOXES = torch.tensor([[0.1, -0.2, 0.4, 0.6], [-0.5, 0.3, 0.5, 0.25]])


def reference(image: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    cx, cy, sx, sy = box.unbind(1)
    zero = torch.zeros_like(cx)
    theta = torch.stack([torch.stack([sx, zero, cx], 1), torch.stack([zero, sy, cy], 1)], 1)
    grid = functional.affine_grid(theta, [len(image), image.shape[1], *size], align_corners=False)
    return functional.grid_sample(image, grid, align_corners=False)


def inverse(box: Tensor) -> Tensor:
    cx, cy, sx, sy = box.unbind(1)
    return torch.stack([-cx / sx, -cy / sy, 1 / sx, 1 / sy], 1)


@pytest.mark.parametrize("size", [(16, 20), (40, 7)])
def test_crop_equals_the_affine_grid(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, 36, 64)
    torch.testing.assert_close(crop(image, BOXES, size), reference(image, BOXES, size), atol=1e-4, rtol=0)


def test_paste_equals_the_inverse_affine_grid() -> None:
    window = torch.rand(2, 4, 16, 20)
    expected = reference(window, inverse(BOXES), (36, 64))
    torch.testing.assert_close(paste(window, BOXES, (36, 64)), expected, atol=1e-4, rtol=0)


def test_the_whole_frame_is_the_identity() -> None:
    image = torch.rand(1, 3, 12, 20)
    torch.testing.assert_close(crop(image, WHOLE, (12, 20)), image, atol=1e-5, rtol=0)
    torch.testing.assert_close(paste(image, WHOLE, (12, 20)), image, atol=1e-5, rtol=0)


def test_a_shift_of_one_pixel_moves_the_content_by_one_pixel() -> None:
    image = torch.rand(1, 1, 12, 20)
    moved = crop(image, torch.tensor([[2 / 20, 0.0, 1.0, 1.0]]), (12, 20))
    torch.testing.assert_close(moved[..., :-1], image[..., 1:], atol=1e-4, rtol=0)


def test_pasting_a_crop_gives_the_content_back() -> None:
    box = torch.tensor([[0.0, 0.25, 0.5, 0.5]])  # 8 x 16 pixels of 16 x 32: no resampling
    image = torch.rand(1, 3, 16, 32)
    frame = paste(crop(image, box, (8, 16)), box, (16, 32))
    torch.testing.assert_close(frame[..., 6:14, 8:24], image[..., 6:14, 8:24], atol=1e-4, rtol=0)
    assert frame[..., :5, :].abs().max() == 0


def test_outside_the_frame_is_zero() -> None:
    assert crop(torch.ones(1, 1, 8, 8), torch.tensor([[1.0, 0.0, 0.5, 0.5]]), (8, 8))[..., 5:].abs().max() == 0


def test_geometry_stays_in_float32_under_autocast() -> None:
    image = torch.rand(2, 3, 36, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        window = crop(image.bfloat16(), BOXES, (16, 16))
        frame = paste(window, BOXES, (36, 64))
    assert window.dtype == frame.dtype == torch.float32
    torch.testing.assert_close(window, crop(image.bfloat16().float(), BOXES, (16, 16)))


def test_gradients_reach_every_coordinate_of_the_box() -> None:
    x = torch.linspace(0, 1, 32)
    image = (x[None, :] ** 2 + x[:, None] ** 3)[None, None].double()
    for function in (lambda b: crop(image, b, (8, 8)), lambda b: paste(image[..., :8, :8] + 1, b, (32, 32))):
        box = torch.tensor([[0.11, -0.07, 0.43, 0.37]], requires_grad=True)
        function(box).square().sum().backward()
        assert box.grad is not None and (box.grad != 0).all()


def test_the_gradient_of_a_crop_agrees_with_finite_differences() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    image = torch.sin(2 * x + y)[None, None]
    box = torch.tensor([[0.1, 0.05, 0.5, 0.4]], requires_grad=True)
    crop(image, box, (16, 16)).square().mean().backward()
    assert box.grad is not None
    for i in range(4):
        step = torch.zeros(1, 4)
        step[0, i] = 1e-2
        with torch.no_grad():
            up, down = (crop(image, box + sign * step, (16, 16)).square().mean() for sign in (1, -1))
        assert (up - down).item() / 2e-2 == pytest.approx(box.grad[0, i].item(), rel=0.05, abs=1e-3)


def test_a_wrong_box_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        crop(torch.rand(2, 3, 8, 8), torch.rand(2, 3), (4, 4))


def test_the_bump_is_one_in_the_middle_and_zero_at_the_border() -> None:
    bump = focal_bump((65, 65))[0, 0]
    assert bump[32, 32] == 1
    assert bump[0].max() < 0.02 and bump[:, -1].max() < 0.02
    assert bump[0, 0] == 0
    row = bump[32, 32:]
    assert (row.diff() <= 0).all()
    assert bump[32, 48].item() == pytest.approx(torch.tensor(1 - 1 / (1 - (32 / 65) ** 2)).exp().item(), rel=1e-4)
