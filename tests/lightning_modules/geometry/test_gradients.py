"""The gradients of the differentiable geometry, against finite differences in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from lightning_modules.geometry import box_coverage, crop, crop_matrix, decode_boxes, inner_box, paste

# no edge of a box on that of a pixel, and no sample on a pixel's centre: there the functions have kinks
BOX = torch.tensor([[0.03, -0.11, 0.37, 0.43], [-0.27, 0.19, 0.61, 0.29]], dtype=torch.float64)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def box() -> Tensor:
    return BOX.clone().requires_grad_()


def test_the_coverage_of_pixels_by_a_box() -> None:
    assert gradcheck(lambda b: box_coverage(b, (7, 9)), box())


def test_the_crop_in_image_and_box() -> None:
    assert gradcheck(lambda image, b: crop(image, b, (5, 6)), (noise(2, 2, 7, 9).requires_grad_(), box()))


def test_the_paste_in_window_and_box() -> None:
    assert gradcheck(lambda window, b: paste(window, b, (7, 9)), (noise(2, 2, 5, 6).requires_grad_(), box()))


def test_the_boxes_in_what_the_detector_says_of_them() -> None:
    assert gradcheck(lambda raw: decode_boxes(raw), (noise(1, 4, 3, 3) - 0.5).requires_grad_())
    assert gradcheck(inner_box, (box(), (BOX * 0.5).requires_grad_()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_what_is_narrower_than_float32_is_widened_and_float64_stays(dtype: torch.dtype) -> None:
    image = noise(2, 3, 7, 9)
    assert crop_matrix(BOX.to(dtype), (7, 9), (5, 6)).dtype == torch.float32
    assert crop(image.to(dtype), BOX.float(), (5, 6)).dtype == torch.float32
    assert paste(image.to(dtype), BOX.float(), (5, 6)).dtype == torch.float32
    torch.testing.assert_close(crop(image, BOX, (5, 6)).float(), crop(image.float(), BOX.float(), (5, 6)))
    assert crop(image, BOX, (5, 6)).dtype == paste(image, BOX, (5, 6)).dtype == torch.float64
