from __future__ import annotations

import time

import numpy as np
import torch

from datamodules.transforms import DeviceAugmentation, FrameAugmentation


def frame(size: tuple[int, int] = (96, 128)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)


def test_frame_augmentation_keeps_shape_and_follows_torch() -> None:
    change, image = FrameAugmentation(), frame()
    torch.manual_seed(5)
    first = [change(image=image)["image"] for _ in range(8)]
    torch.manual_seed(5)
    again = [FrameAugmentation()(image=image)["image"] for _ in range(8)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({a.tobytes() for a in first}) > 5
    assert all(a.shape == image.shape and a.dtype == np.uint8 for a in first)


def test_mirror_and_colours_are_drawn_independently() -> None:
    torch.manual_seed(1)
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, :4] = (120, 60, 30)
    changed = [FrameAugmentation(photometric=0.5)(image=image)["image"] for _ in range(200)]
    mirrored = np.array([bool(c[0, 0].sum() < c[0, -1].sum()) for c in changed])
    recoloured = np.array(
        [not np.array_equal(c[:, ::-1] if m else c, image) for c, m in zip(changed, mirrored, strict=True)]
    )
    assert 0.35 < mirrored.mean() < 0.65 and 0.6 < recoloured.mean() < 0.9
    assert abs(recoloured[mirrored].mean() - recoloured[~mirrored].mean()) < 0.2


def test_frame_augmentation_is_mild() -> None:
    torch.manual_seed(0)
    change, image = FrameAugmentation(flip=0.0, photometric=1.0), frame() // 2 + 60
    assert max(np.abs(change(image=image)["image"].astype(int) - image).mean() for _ in range(20)) < 40


def test_frame_augmentation_is_cheap() -> None:
    change, image = FrameAugmentation(), frame()
    change(image=image)["image"]
    start = time.process_time()
    for _ in range(100):
        change(image=image)["image"]
    assert (time.process_time() - start) / 100 < 2e-3  # measured 0.4 ms; slack for busy machines


def test_device_augmentation_zooms_in_without_black_borders() -> None:
    torch.manual_seed(0)
    white = torch.ones(64, 3, 24, 32)
    assert torch.allclose(DeviceAugmentation()(white), white, atol=1e-5)
    image = torch.rand(64, 3, 24, 32)
    changed = DeviceAugmentation()(image)
    assert changed.shape == image.shape and changed.min() >= 0 and changed.max() <= 1
    assert (changed - image).abs().flatten(1).mean(1).gt(0.01).float().mean() > 0.9


def test_device_augmentation_never_shrinks() -> None:
    torch.manual_seed(0)
    bar = torch.zeros(64, 3, 40, 40)
    bar[..., 15:25] = 1
    widths = (DeviceAugmentation()(bar)[:, 0, 20] > 0.5).sum(1)
    assert widths.min() >= 10 and widths.max() <= 12
