"""Tiny footage with exact masks: a textured square that moves over a textured scene, the camera still or panning."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.readers import Pixels

SIZE = (96, 128)
SIDE = 24


def texture(size: tuple[int, int], seed: int, low: int, high: int) -> Pixels:
    """Coarse coloured noise between two levels."""
    noise = np.random.default_rng(seed).random((*size, 3)).astype(np.float32)
    coarse = cv2.GaussianBlur(noise, (0, 0), 1.5)
    coarse = (coarse - coarse.min()) / (coarse.max() - coarse.min())
    return (low + coarse * (high - low)).astype(np.uint8)


def moving_square(frames: int = 24, pan: int = 0) -> tuple[list[Pixels], list[NDArray[np.bool_]]]:
    """Frames and masks.

    The square moves three pixels a frame to the right; the camera pans by ``pan`` pixels a frame, to the right too.
    """
    height, width = SIZE
    scene = texture((height, width + pan * frames), 0, 0, 230)
    square = texture((SIDE, SIDE), 1, 60, 255)
    square[..., 0] = 255 - square[..., 0] // 8  # reddish: colours tell it from the scene
    images, masks = [], []
    for frame in range(frames):
        image = scene[:, pan * frame : pan * frame + width].copy()
        left, top = 16 + 3 * frame, 34
        image[top : top + SIDE, left : left + SIDE] = square
        mask = np.zeros(SIZE, dtype=bool)
        mask[top : top + SIDE, left : left + SIDE] = True
        images.append(image)
        masks.append(mask)
    return images, masks


def jaccard(mask: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """Intersection over union at 0.5, by sets."""
    found = set(np.flatnonzero(mask >= 0.5).tolist())
    true = set(np.flatnonzero(truth).tolist())
    return len(found & true) / len(found | true)
