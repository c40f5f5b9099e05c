"""How far pictures confirm flow: where it explains the frames around better than the camera's motion does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.cues.flow import Flow
from datamodules.cues.motion import Plane
from datamodules.readers import Pixels

LEAST = 0.1
"""What is left of the speed of a pixel that is not confirmed at all."""

_FACTOR = 2.0  # half of the usual error, saved by the flow, confirms it
_NOISE = 1.0  # of 255: no picture is more accurate
_AROUND = 3  # cells over which errors are averaged

SETTINGS = f"confirmed {LEAST} {_FACTOR} {_NOISE} {_AROUND}"
"""Part of the identity of what is stored."""


def confirmed(
    labs: Sequence[Pixels], at: int, flows: Mapping[int, Flow], cameras: Mapping[int, Flow], to_cells: float
) -> Plane:
    """How far the frames around one confirm its flow.

    Flow is smooth: water between a surfer and his lines is said to move with them, and so is what lies around any
    subject. Where the camera's motion brings a pixel to the same colour as its own flow does, nothing speaks for the
    latter. The error that the flow saves, over its own error and the usual one, is the measure. As for the speed, of
    the frames before and those after the smaller one counts.

    Args:
        labs: Frames in order, OpenCV's 8-bit CIE Lab, (h, w, 3) of the grid.
        at: Position of the frame among them.
        flows: Its flow by signed offset in frames, (h, w, 2), in working pixels; at least one.
        cameras: What the camera explains of each, likewise.
        to_cells: Cells of the grid in a working pixel.

    Returns:
        float32, (h, w), in [0.1, 1].
    """
    frame = labs[at].astype(np.float32)
    saved: dict[bool, list[Plane]] = {True: [], False: []}
    errors: dict[bool, list[Plane]] = {True: [], False: []}
    for offset, flow in flows.items():
        other = labs[at + offset]
        own, camera = (_error(frame, other, one * np.float32(to_cells)) for one in (flow, cameras[offset]))
        errors[offset > 0].append(own)
        saved[offset > 0].append(camera - own)
    error, gain = (_smaller(sides.values()) for sides in (errors, saved))
    share = np.maximum(gain, 0) / (error + np.median(error) + _NOISE)
    return np.asarray(np.clip(_FACTOR * share, LEAST, 1), dtype=np.float32)


def _smaller(sides: Iterable[list[Plane]]) -> Plane:
    """The smaller one of the means over the frames before and over those after."""
    return np.asarray(np.min([np.mean(side, axis=0) for side in sides if side], axis=0), dtype=np.float32)


def _error(frame: NDArray[np.float32], other: Pixels, flow: Flow) -> Plane:
    """How far a frame is from another one, to which a flow leads; in units of Lab, (h, w)."""
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]].astype(np.float32)
    where = x + flow[..., 0], y + flow[..., 1]
    found = cv2.remap(other.astype(np.float32), *where, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.blur(np.linalg.norm(found - frame, axis=2), (_AROUND, _AROUND)), dtype=np.float32)
