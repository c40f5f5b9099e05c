"""Parallax: what is near shifts against what is far, and a small thing that moves by itself does not count."""

import cv2
import numpy as np

from datamodules.plates.parallax import enlarged, parallax
from datamodules.readers import Pixels

SIZE = (180, 320)


def texture(seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (40, 70), dtype=np.uint8)
    return cv2.GaussianBlur(cv2.resize(coarse, (400, 180), interpolation=cv2.INTER_CUBIC), (0, 0), 1.5)


def two_layers(shift: int) -> Pixels:
    """The lower half is near and shifts, the upper one is far and does not."""
    frame = texture(0)[:, 40:360].copy()
    frame[90:] = texture(1)[90:, 40 + shift : 360 + shift]
    return frame


def test_the_near_half_is_found_where_it_went() -> None:
    everywhere = np.ones(SIZE, dtype=bool)
    found = enlarged(parallax(two_layers(0), two_layers(4), everywhere), SIZE)
    assert found.shape == (*SIZE, 2)
    assert np.abs(found[:60]).max() < 0.3
    assert np.abs(found[120:, 20:-20, 0] + 4).max() < 0.5 and np.abs(found[120:, :, 1]).max() < 0.5
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    brought_back = cv2.remap(two_layers(4), np.stack([x, y], axis=2) + found, None, cv2.INTER_LINEAR)
    error = np.abs(brought_back.astype(int) - two_layers(0))
    before = np.abs(two_layers(4).astype(int) - two_layers(0))
    assert error[120:, 20:-20].mean() < 0.2 * before[120:, 20:-20].mean()


def test_a_small_thing_that_moves_by_itself_has_no_say() -> None:
    first, second = two_layers(0), two_layers(0)
    first[30:70, 100:140] = texture(2)[30:70, 100:140]
    second[30:70, 106:146] = texture(2)[30:70, 100:140]
    assert np.abs(parallax(first, second, np.ones(SIZE, dtype=bool))).max() < 0.5


def test_a_tiny_frame_has_no_parallax() -> None:
    tiny = two_layers(0)[:24, :200].copy()
    assert np.abs(parallax(tiny, tiny, np.ones(tiny.shape, dtype=bool))).max() == 0


def test_what_is_not_seen_has_no_parallax() -> None:
    assert np.abs(parallax(two_layers(0), two_layers(4), np.zeros(SIZE, dtype=bool))).max() == 0
