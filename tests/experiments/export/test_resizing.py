"""Scaling inside a graph is that of OpenCV, and of torch, outside of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from datamodules.readers import resize
from experiments.export import resizing

SIZE = (27, 48)


def frames(height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8))


def by_opencv(images: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.stack([resize(image, SIZE) for image in images.numpy()])).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("size", [(54, 96), (108, 192), (81, 96), (96, 170), (27, 48), (27, 100), (211, 49), (54, 97)])
def test_frames_shrink_as_with_opencv(size: tuple[int, int]) -> None:
    images = frames(*size)
    differences = (resizing._by_area(images, SIZE) - by_opencv(images)).abs()
    assert differences.max() <= 1 and (differences > 0).float().mean() < 0.001  # a half that float32 rounds otherwise


@pytest.mark.parametrize("size", [(9, 16), (26, 47), (1, 1), (20, 300), (270, 40), (2, 3)])
def test_frames_grow_as_with_opencv_to_the_last_bit(size: tuple[int, int]) -> None:
    images = frames(*size)
    assert torch.equal(resizing._linearly(images, SIZE), by_opencv(images))


@pytest.mark.parametrize("size", [(96, 170), (27, 48), (20, 30), (28, 200)])
def test_masks_grow_as_with_torch(size: tuple[int, int]) -> None:
    mask = torch.rand(3, 27, 48, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(mask[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    assert torch.allclose(resizing.enlarged(mask, *size), expected, atol=1e-5)
