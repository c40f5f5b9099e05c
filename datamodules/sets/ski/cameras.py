"""Ski-PTZ's annotation: 3D markers, cameras by Direct Linear Transform, and the boxes that come of them."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FRAME_SIZE = (720, 1280)
"""(height, width) in pixels of the frames that the cameras were calibrated for."""

GROWTH = 1.6
"""Width and height of the box over those of the tight rectangle of the joints."""

SMALLEST = 56
"""Least width and height of that rectangle, in pixels of the full frame."""

MARKERS = 23
PARAMETERS = 11
_SLOPE = -0.193200777  # radians about z, from the markers' frame to that of the cameras

# Markers on the body by number; 0 is the antenna, 2 the neck, 15 to 20 are on skis and poles, 21 and 22 are centres of
# mass.
_HEAD, _HIP_R, _HIP_L, _KNEE_R, _KNEE_L, _ANKLE_R, _ANKLE_L = 1, 3, 4, 5, 6, 7, 8
_SHOULDER_R, _SHOULDER_L, _ELBOW_R, _ELBOW_L, _HAND_R, _HAND_L = 9, 10, 11, 12, 13, 14

JOINTS: tuple[dict[int, float], ...] = (
    {_HIP_L: 0.5, _HIP_R: 0.5},  # hip
    {_HIP_L: 0.1, _HIP_R: 0.9},  # right up-leg: the marker is on the outside
    {_KNEE_R: 1.0},
    {_ANKLE_R: 1.0},
    {_HIP_L: 0.9, _HIP_R: 0.1},  # left up-leg
    {_KNEE_L: 1.0},
    {_ANKLE_L: 1.0},
    {_HIP_L: 0.3, _HIP_R: 0.3, _HEAD: 0.4},  # spine
    {_HIP_L: 0.1, _HIP_R: 0.1, _HEAD: 0.8},  # neck
    {_HEAD: 1.0},
    {_HEAD: 1.0},  # head-top
    {_SHOULDER_L: 1.0},
    {_ELBOW_L: 1.0},
    {_HAND_L: 1.0},
    {_SHOULDER_R: 1.0},
    {_ELBOW_R: 1.0},
    {_HAND_R: 1.0},
)
"""The 17 joints in Human3.6M's order, as weighted means of markers."""


def read_markers(path: Path) -> NDArray[np.float64]:
    """Read the 3D markers of a trial.

    Args:
        path: ``Trial_…_AllMarker_Raumkoor.mat.csv``: a header line, then 23 markers × xyz in millimetres per frame.

    Returns:
        Markers in metres, in the cameras' frame, (N, 23, 3); NaN where a value is missing.

    Raises:
        ValueError: If a line is not 69 numbers; the message names it.
    """
    rows = []
    with path.open(newline="") as file:
        lines = csv.reader(file)
        next(lines, None)
        for line in lines:
            values = [value.strip() for value in line]
            if len(values) != 3 * MARKERS:
                raise ValueError(
                    f"Line {lines.line_num} of {path} has {len(values)} values, expected {3 * MARKERS} ({MARKERS} "
                    "markers): fetch the file again."
                )
            try:
                rows.append([float(value) if value else math.nan for value in values])
            except ValueError:
                raise ValueError(f"Line {lines.line_num} of {path} is not all numbers: fetch the file again.") from None
    points = np.asarray(rows, dtype=np.float64).reshape(-1, MARKERS, 3) / 1000
    cos, sin = math.cos(_SLOPE), math.sin(_SLOPE)
    return np.asarray(points @ np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]).T)


def read_dlt(path: Path) -> NDArray[np.float64]:
    """Read the parameters of a camera.

    Args:
        path: ``PP_Trial_…_CAM….DLT``: one row per frame, 11 numbers, or 12 of which the last is not used.

    Returns:
        Parameters, (N, 11); zeros where the camera did not see the skier, which is also what a shorter line says.
    """
    rows = []
    for line in path.read_text().splitlines():
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        rows.append(values[:PARAMETERS] if len(values) >= PARAMETERS else [0.0] * PARAMETERS)
    return np.asarray(rows, dtype=np.float64).reshape(-1, PARAMETERS)


def project(parameters: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project points by Direct Linear Transform: u = (L1 x + L2 y + L3 z + L4) / (L9 x + L10 y + L11 z + 1), v alike.

    Args:
        parameters: L1 to L11 per frame, (N, 11).
        points: World points per frame, (N, J, 3).

    Returns:
        Pixels of the full frame, x right, y down, (N, J, 2); NaN where the parameters are all zero.
    """
    matrix = np.concatenate([parameters, np.ones((len(parameters), 1))], axis=1).reshape(-1, 3, 4)
    homogeneous = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)
    image = homogeneous @ matrix.transpose(0, 2, 1)  # (N, J, 3)
    pixels = image[..., :2] / image[..., 2:]
    pixels[~parameters.any(axis=1)] = np.nan
    return np.asarray(pixels)


def body_joints(markers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 17 joints of the body.

    Args:
        markers: (N, 23, 3).

    Returns:
        Joints in Human3.6M's order, (N, 17, 3).
    """
    weights = np.zeros((len(JOINTS), MARKERS))
    for row, joint in zip(weights, JOINTS, strict=True):
        row[list(joint)] = list(joint.values())
    used = np.flatnonzero(weights.any(axis=0))  # 0 * NaN is NaN: markers that are not used must not spoil a joint
    return np.asarray(weights[:, used] @ markers[:, used])


def joint_boxes(joints: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Boxes round projected joints: their tight rectangle, enlarged by 60 %, clipped to the frame.

    Args:
        joints: Pixels, (N, J, 2).
        size: The frame's (height, width) in pixels.

    Returns:
        (x0, y0, x1, y1), (N, 4); NaN where a joint is missing.
    """
    low, high = joints.min(axis=1), joints.max(axis=1)  # NaN spreads
    centre, half = (low + high) / 2, (high - low) / 2 * GROWTH
    frame = np.array([size[1], size[0]], dtype=np.float64)
    return np.concatenate([np.clip(centre - half, 0, frame), np.clip(centre + half, 0, frame)], axis=1)


def in_view(joints: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a camera sees the whole skier: all joints in the frame, their rectangle at least 56 pixels both ways.

    Args:
        joints: Pixels of the full frame, (N, J, 2).

    Returns:
        (N,).
    """
    low, high = joints.min(axis=1), joints.max(axis=1)
    inside = (low >= 0).all(axis=1) & (high[:, 0] <= FRAME_SIZE[1]) & (high[:, 1] <= FRAME_SIZE[0])
    return np.asarray(inside & (high - low >= SMALLEST).all(axis=1))
