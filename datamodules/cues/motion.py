"""What moves otherwise than the camera, from flow over a few frames."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.cues.flow import Flow

Plane = NDArray[np.float32]
"""(h, w)."""

LEVEL = 0.45
"""Motion at which a pixel is as likely the subject as not."""

_BRIGHTEST = 99.5  # percentile that stands for the fastest motion
_LEAST_FASTEST = 0.15  # working pixels a frame: less is noise
_LEAST_LEVEL = 0.02  # working pixels a frame
_SLOPE = 1.5
_LIMIT = 2.0

SETTINGS = f"motion {LEVEL} {_BRIGHTEST} {_LEAST_FASTEST} {_LEAST_LEVEL} {_SLOPE} {_LIMIT}"
"""Part of the identity of what is stored."""


def speed(flows: Mapping[int, Flow], cameras: Mapping[int, Flow]) -> Plane:
    """How much faster each pixel moves than the scene.

    The residual velocity is averaged over the frames after and over the frames before, and the smaller of the two
    lengths counts: a subject covers the scene on one side and uncovers it on the other, so the halo of wrong flow lies
    on one side only in each.

    Args:
        flows: Flow in working pixels by signed offset in frames, (h, w, 2) each; at least one.
        cameras: What the camera explains of each, likewise.

    Returns:
        Working pixels a frame, (h, w), not negative.

    Raises:
        ValueError: If there is no flow.
    """
    if not flows:
        raise ValueError("The motion of a frame needs flow to at least one other frame, but got none.")
    velocities: dict[bool, list[Flow]] = {True: [], False: []}
    for offset, flow in flows.items():
        velocities[offset > 0].append((flow - cameras[offset]) / np.float32(offset))
    lengths = [np.linalg.norm(np.mean(side, axis=0), axis=2) for side in velocities.values() if side]
    return np.asarray(np.min(lengths, axis=0), dtype=np.float32)


def in_own_units(length: NDArray[np.floating]) -> Plane:
    """Lengths over twice the threshold that parts them best into two classes (Otsu 1979).

    Args:
        length: Speed in working pixels a frame, (h, w).

    Returns:
        float32, (h, w), not negative; 0.5 at the threshold.
    """
    fastest = max(float(np.percentile(length, _BRIGHTEST)), _LEAST_FASTEST)
    bytes_ = np.clip(length * (255 / fastest), 0, 255).round().astype(np.uint8)
    level, _ = cv2.threshold(bytes_, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return (length / (2 * max(float(level) / 255 * fastest, _LEAST_LEVEL))).astype(np.float32)


def motion_log_odds(strength: Plane) -> Plane:
    """Log-odds that a pixel is the subject, from its motion.

    Args:
        strength: In its own units, see :func:`in_own_units`.

    Returns:
        (h, w), in [-2, 2]; 0 at :data:`LEVEL`.
    """
    odds = _SLOPE * np.log(np.maximum(strength, 1e-6) / LEVEL)
    return np.clip(odds, -_LIMIT, _LIMIT).astype(np.float32)
