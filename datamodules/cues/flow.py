"""Dense optical flow from a frame to those around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from backdrop.stops import may_stop
from datamodules.readers import Pixels

Flow = NDArray[np.float32]
"""(h, w, 2): where each pixel (x, y) goes, in pixels of the working frame, whatever the grid it is sampled on."""

OFFSETS = (1, 2, 3, 6)
"""Distances of the frames that flow leads to, before and after, in frames."""

_BLUR = 1.0  # working pixels, standard deviation

SETTINGS = f"flow medium {OFFSETS} {_BLUR}"
"""Part of the identity of what is stored."""


class WorkingSize(NamedTuple):
    """The two sizes at which a clip is worked on.

    Attributes:
        frame: (height, width) in pixels at which flow is computed; its pixels are the unit of every flow.
        grid: (height, width) of the planes that come of it, half as large.
    """

    frame: tuple[int, int]
    grid: tuple[int, int]

    @classmethod
    def of(cls, original: tuple[int, int], height: int = 240) -> WorkingSize:
        """Sizes that keep the shape of the frame.

        Args:
            original: (height, width) of the clip's frames in pixels.
            height: Of the shorter side of the working frame in pixels; smaller frames are enlarged, as the units of
                flow depend on it. The longer side is four times this at most.

        Returns:
            The sizes, at least 16 pixels each way.
        """
        scale = min(height / min(original), 4 * height / max(original))
        frame = max(16, round(original[0] * scale)), max(16, round(original[1] * scale))
        return cls(frame, (round(frame[0] / 2), round(frame[1] / 2)))


def dense_flow(frame: Pixels, other: Pixels, grid: tuple[int, int]) -> Flow:
    """Flow from one frame to another (dense inverse search, Kroeger et al. 2016), slightly blurred.

    Args:
        frame: Grey, uint8, (H, W).
        other: Another frame of the clip, likewise.
        grid: (height, width) to which the flow is averaged.

    Returns:
        The flow, float32, (*grid, 2), in pixels of ``frame``.
    """
    may_stop()
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(frame, other, None)
    smooth = cv2.GaussianBlur(flow, (0, 0), _BLUR)
    return np.asarray(cv2.resize(smooth, grid[::-1], interpolation=cv2.INTER_AREA), dtype=np.float32)


def flows_around(
    greys: Sequence[Pixels], at: int, grid: tuple[int, int], offsets: Sequence[int] = OFFSETS
) -> Mapping[int, Flow]:
    """Flow from a frame to those around it.

    Args:
        greys: Frames in order, grey, uint8, (H, W).
        at: Position of the frame among them.
        grid: (height, width) of the flows.
        offsets: Distances, in frames, before and after.

    Returns:
        Flow by signed offset; only offsets at which there is a frame.
    """
    signed = [sign * offset for offset in offsets for sign in (1, -1)]
    return {by: dense_flow(greys[at], greys[at + by], grid) for by in signed if 0 <= at + by < len(greys)}
