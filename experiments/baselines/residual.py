"""Known background: how far each pixel is from the median of its scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from datamodules.plates.plate import median_plate
from datamodules.readers import Pixels
from experiments.baselines.method import BLUR, Baseline, Frames, Prediction, from_mask, normalised, require, smoothed
from experiments.baselines.registration import registered

_NOISE = 20.0  # grey levels: a colour that differs by less is noise or compression


class StaticBackground(Baseline):
    """The median of a clip whose camera stands still (the known background of Sec. 3.1, the setting of NSD).

    The evidence is the distance of colours, root mean square over a small neighbourhood; it is 0.5 at ``times`` its
    median, or at 20 grey levels where that is more.

    Args:
        times: Level over the median.
        most: Of how many frames, spread evenly over the clip, the median is taken at most.
    """

    def __init__(self, times: float = 3.0, most: int = 101) -> None:
        require(0, times=times)
        require(1, most=most)
        self.times = times
        self.most = most

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        every = max(1, -(-len(frames) // self.most))
        images = np.stack([frames[position] for position in range(0, len(frames), every)])
        plate, covered = median_plate(images, np.ones(images.shape[:3], dtype=bool))
        for position in wanted:
            yield residual(frames[position], plate, covered, self.times)


class CompensatedBackground(Baseline):
    """The median of neighbouring frames, registered by the camera's motion, which may turn and zoom.

    Otherwise as :class:`StaticBackground`. Pixels that no neighbour shows are background, as is a frame without any.

    Args:
        times: Level over the median.
        reach: Farthest neighbour, in frames.
        step: Distance between neighbours, in frames.
    """

    def __init__(self, times: float = 3.0, reach: int = 40, step: int = 8) -> None:
        require(0, times=times, reach=reach)
        require(1, step=step)
        self.times = times
        self.reach = reach
        self.step = step

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        for window in registered(frames, wanted, self.reach, self.step):
            if not len(window.images):
                yield from_mask(np.zeros(window.frame.shape[:2], dtype=np.float32))
                continue
            plate, covered = median_plate(window.images, window.seen)
            yield residual(window.frame, plate, covered, self.times)


def residual(frame: Pixels, plate: Pixels, covered: NDArray[np.bool_], times: float) -> Prediction:
    """Where a frame differs from its background.

    Args:
        frame: (H, W, 3).
        plate: The background, (H, W, 3).
        covered: Where it is known, (H, W).
        times: Level over the median, see :func:`experiments.baselines.method.normalised`.
    """
    squares = np.square(frame.astype(np.float32) - plate).sum(axis=2) * covered  # (H, W)
    return from_mask(normalised(np.sqrt(smoothed(squares, BLUR)), times, _NOISE))
