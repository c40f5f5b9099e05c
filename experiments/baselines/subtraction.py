"""Background subtraction: the pixel-wise mixtures of OpenCV, for a camera that stands still and for one that moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np

from datamodules.readers import Pixels
from experiments.baselines.method import BLUR, Baseline, Frames, Prediction, from_mask, require, smoothed
from experiments.baselines.registration import registered

_SUBJECT = 255  # in OpenCV's answer, where 127 is a shadow

Maker = Callable[..., Any]
"""Makes one of OpenCV's background subtractors, given its ``history``."""


def as_prediction(found: Pixels) -> Prediction:
    """What a subtractor answers, as a soft mask: the share of subject in a small neighbourhood.

    0.5 is a majority; shadows count as background.

    Args:
        found: uint8, (H, W).
    """
    return from_mask(smoothed((found == _SUBJECT).astype(np.float32), BLUR))


class Subtraction(Baseline):
    """A subtractor that runs over the clip, first backwards, so that it knows the scene when it begins.

    Args:
        make: Makes the subtractor.
        history: Number of frames that it remembers.
    """

    def __init__(self, make: Maker, history: int) -> None:
        require(1, history=history)
        self.make = make
        self.history = history

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        subtractor = self.make(history=self.history)
        chosen = set(wanted)
        for position in reversed(range(min(len(frames), 2 * self.history))):
            subtractor.apply(frames[position])
        for position, frame in enumerate(frames):
            found = subtractor.apply(frame)
            if position in chosen:
                yield as_prediction(found)


class CompensatedSubtraction(Baseline):
    """For each frame a subtractor that has seen its neighbours only, registered by the camera's motion.

    Where a neighbour does not reach, the frame itself stands for it, so that nothing stands out there.

    Args:
        make: Makes the subtractor.
        reach: Farthest neighbour, in frames.
        step: Distance between neighbours, in frames.
        rounds: How often it sees them: the models of OpenCV want more samples than there are neighbours.
    """

    def __init__(self, make: Maker, reach: int, step: int, rounds: int) -> None:
        require(0, reach=reach)
        require(1, step=step, rounds=rounds)
        self.make = make
        self.reach = reach
        self.step = step
        self.rounds = rounds

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        for window in registered(frames, wanted, self.reach, self.step):
            subtractor = self.make(history=max(1, self.rounds * len(window.images)))
            for image, seen in self.rounds * list(zip(window.images, window.seen, strict=True)):
                subtractor.apply(np.where(seen[..., None], image, window.frame))
            yield as_prediction(subtractor.apply(window.frame, learningRate=0))


class Mog2(Subtraction):
    """Mixture of Gaussians for each pixel (Zivkovic 2004), as OpenCV has it.

    Args:
        history: Number of frames that it remembers.
        var_threshold: Squared Mahalanobis distance from which a pixel is not background; OpenCV's default.
    """

    def __init__(self, history: int = 100, var_threshold: float = 16.0) -> None:
        super().__init__(partial(cv2.createBackgroundSubtractorMOG2, varThreshold=var_threshold), history)


class Knn(Subtraction):
    """K nearest neighbours for each pixel (Zivkovic and van der Heijden 2006), as OpenCV has it.

    Args:
        history: Number of frames that it remembers.
        dist_threshold: Squared distance of colours from which a sample is not near; OpenCV's default.
    """

    def __init__(self, history: int = 100, dist_threshold: float = 400.0) -> None:
        super().__init__(partial(cv2.createBackgroundSubtractorKNN, dist2Threshold=dist_threshold), history)


class Mog2Compensated(CompensatedSubtraction):
    """:class:`Mog2` for a moving camera.

    Args:
        reach: Farthest neighbour, in frames.
        step: Distance between neighbours, in frames.
        rounds: How often they are seen.
        var_threshold: As for :class:`Mog2`.
    """

    def __init__(self, reach: int = 40, step: int = 8, rounds: int = 4, var_threshold: float = 16.0) -> None:
        super().__init__(partial(cv2.createBackgroundSubtractorMOG2, varThreshold=var_threshold), reach, step, rounds)


class KnnCompensated(CompensatedSubtraction):
    """:class:`Knn` for a moving camera.

    Args:
        reach: Farthest neighbour, in frames.
        step: Distance between neighbours, in frames.
        rounds: How often they are seen.
        dist_threshold: As for :class:`Knn`.
    """

    def __init__(self, reach: int = 40, step: int = 8, rounds: int = 4, dist_threshold: float = 400.0) -> None:
        super().__init__(partial(cv2.createBackgroundSubtractorKNN, dist2Threshold=dist_threshold), reach, step, rounds)
