"""Neighbouring frames in the place of a frame: the camera's motion between them is taken out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.plates.camera_motion import Homography, camera_motion, rescaled
from datamodules.readers import Pixels, resize
from experiments.baselines.method import Frames

_HEIGHT = 240
"""Height in pixels at which the camera's motion is found, at most: it takes most of the time."""


@dataclass(frozen=True)
class Window:
    """A frame and its registered neighbours.

    Attributes:
        frame: RGB, uint8, (H, W, 3).
        images: Its neighbours as the camera would have seen them from there, the nearest last, uint8, (N, H, W, 3).
        seen: Where each of them shows anything, (N, H, W).
    """

    frame: Pixels
    images: NDArray[np.uint8]
    seen: NDArray[np.bool_]


def registered(frames: Frames, wanted: Sequence[int], reach: int, step: int) -> Iterator[Window]:
    """Register the neighbours of some frames to them.

    Neighbours are those at ``step``, ``2 * step``, … up to ``reach`` frames before and after. Where their motion is
    not found directly, that of the frames between is used.

    Args:
        frames: The frames of a clip.
        wanted: Positions of the frames, ascending.
        reach: Farthest neighbour, in frames.
        step: Distance between neighbours, in frames.

    Yields:
        One window for each wanted frame; a frame without neighbours has none in it.
    """
    height, width = frames[0].shape[:2]
    scale = min(1.0, _HEIGHT / height)

    @lru_cache(maxsize=2 * reach + 2)
    def grey(position: int) -> Pixels:
        small = resize(frames[position], (round(height * scale), round(width * scale)))
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    @lru_cache(maxsize=2 * reach + 2)
    def to_next(position: int) -> Homography:
        motion = camera_motion(grey(position), grey(position + 1))
        return np.eye(3) if motion is None else motion

    def guessed(source: int, target: int) -> Homography:
        motion: Homography = np.eye(3)
        for position in range(min(source, target), max(source, target)):
            motion = to_next(position) @ motion
        motion = motion if source < target else np.asarray(np.linalg.inv(motion))
        return np.asarray(motion / motion[2, 2])

    for position in wanted:
        frame = frames[position]
        distances = [sign * far for far in range(reach // step * step, 0, -step) for sign in (-1, 1)]
        others = [position + far for far in distances if 0 <= position + far < len(frames)]
        images = np.zeros((len(others), *frame.shape), dtype=np.uint8)
        seen = np.zeros((len(others), height, width), dtype=bool)
        for number, other in enumerate(others):
            guess = guessed(other, position)
            motion = camera_motion(grey(other), grey(position), guess)
            motion = rescaled(guess if motion is None else motion, 1 / scale)
            images[number] = cv2.warpPerspective(frames[other], motion, (width, height))
            white = np.full((height, width), 255, dtype=np.uint8)
            seen[number] = cv2.warpPerspective(white, motion, (width, height)) == 255
        yield Window(frame, images, seen)
