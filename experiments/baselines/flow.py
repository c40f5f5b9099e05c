"""Optical flow: what moves otherwise than the camera makes the scene move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.plates.camera_motion import camera_motion
from datamodules.readers import Pixels, resize
from experiments.baselines.method import (
    BLUR,
    THRESHOLD,
    Baseline,
    Frames,
    Prediction,
    Soft,
    from_mask,
    normalised,
    require,
    smoothed,
)

_NOISE = 1.0  # pixels: flow is not more accurate
_SURE, _SURELY_NOT = 0.75, 0.25  # soft masks that GrabCut may not doubt: three times and a third of the level
_FEWEST = 20  # pixels of either class, below which GrabCut has no colours to learn


class Flow(Baseline):
    """Residual of dense optical flow (DIS, Kroeger et al. 2016) after the camera's homography.

    The flow to the frame before and to the frame after count, the smaller residual of both, as only one of them is
    wrong where a subject covers or uncovers the scene. It is 0.5 at ``times`` the frame's median, or at one pixel where
    that is more.

    Args:
        times: Level over the median.
        step: Distance of the two neighbours, in frames.
    """

    def __init__(self, times: float = 3.0, step: int = 1) -> None:
        require(0, times=times)
        require(1, step=step)
        self.times = times
        self.step = step

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        for position in wanted:
            yield from_mask(self._soft(frames, position))

    def _soft(self, frames: Frames, position: int) -> Soft:
        frame = cv2.cvtColor(frames[position], cv2.COLOR_RGB2GRAY)
        around = [other for other in (position - self.step, position + self.step) if 0 <= other < len(frames)]
        greys = [cv2.cvtColor(frames[other], cv2.COLOR_RGB2GRAY) for other in around]
        if not greys:
            return np.zeros(frame.shape, dtype=np.float32)
        least = np.min([own_motion(frame, other) for other in greys], axis=0)
        return normalised(smoothed(least, BLUR), self.times, _NOISE)


class FlowGrabCut(Flow):
    """:class:`Flow`, refined by GrabCut (Rother et al. 2004) on the colours of the frame; its masks are binary.

    Args:
        times: As for :class:`Flow`.
        step: As for :class:`Flow`.
        height: Height in pixels at which GrabCut works at most.
        rounds: Its iterations.
    """

    def __init__(self, times: float = 3.0, step: int = 1, height: int = 180, rounds: int = 5) -> None:
        super().__init__(times, step)
        require(1, height=height, rounds=rounds)
        self.height = height
        self.rounds = rounds

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        for position in wanted:
            frame, soft = frames[position], self._soft(frames, position)
            height, width = soft.shape
            small = (min(self.height, height), max(1, round(width * min(self.height, height) / height)))
            seeds = cv2.resize(soft, small[::-1], interpolation=cv2.INTER_AREA)
            refined = cut(resize(frame, small), seeds, self.rounds)
            yield from_mask(cv2.resize(refined, (width, height), interpolation=cv2.INTER_LINEAR))


def own_motion(frame: Pixels, other: Pixels) -> NDArray[np.float32]:
    """How far each pixel moves beside the camera's motion.

    Args:
        frame: Grey, uint8, (H, W).
        other: Another frame of the clip, likewise.

    Returns:
        Pixels, (H, W).
    """
    camera = camera_motion(frame, other)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(frame, other, None)
    if camera is None:
        return np.asarray(np.linalg.norm(flow, axis=2), dtype=np.float32)
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]].astype(np.float32)
    there = np.stack([x, y], axis=2)
    expected = cv2.perspectiveTransform(there, camera) - there
    return np.asarray(np.linalg.norm(flow - expected, axis=2), dtype=np.float32)


def cut(image: Pixels, soft: Soft, rounds: int) -> Soft:
    """Refine a soft mask by GrabCut.

    Args:
        image: RGB, uint8, (h, w, 3).
        soft: (h, w); from 0.75 on it is the subject, below 0.25 it is not.
        rounds: Iterations.

    Returns:
        1 or 0, (h, w); the soft mask itself where either class is all but empty.
    """
    inside = int((soft >= THRESHOLD).sum())
    if min(inside, soft.size - inside) < _FEWEST:
        return soft
    labels = np.where(soft >= THRESHOLD, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[soft >= _SURE] = cv2.GC_FGD
    labels[soft < _SURELY_NOT] = cv2.GC_BGD
    cv2.grabCut(image, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
