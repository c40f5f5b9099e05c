"""Cameras of the demo: where each frame of a clip looks in the scene.

Convention: scene coordinates have their origin in the middle of the scene, x right, y down; the unit is the height of
the frame at zoom 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Preset = Literal["static", "ptz", "handheld"]
PRESETS: tuple[Preset, ...] = ("static", "ptz", "handheld")

EYE_Y = 0.10
"""Height in the scene at which a camera looks by default."""


@dataclass(frozen=True)
class CameraPath:
    """One camera pose per frame, each (N,).

    Attributes:
        x: Scene x of the frame's centre.
        y: Scene y of the frame's centre.
        zoom: Enlargement; 1 shows one unit over the frame's height.
        angle: Roll in radians, clockwise positive.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    zoom: NDArray[np.float64]
    angle: NDArray[np.float64]

    def matrix(self, frame: int, size: tuple[int, int]) -> NDArray[np.float64]:
        """Affine map from scene coordinates to pixels of one frame.

        Args:
            frame: Position in the clip.
            size: Frame (height, width) in pixels.

        Returns:
            (2, 3); pixel centres at half-integers, i.e. the frame spans [0, width] x [0, height].
        """
        scale = self.zoom[frame] * size[0]
        cos, sin = scale * np.cos(self.angle[frame]), scale * np.sin(self.angle[frame])
        linear = np.array([[cos, -sin], [sin, cos]])
        offset = np.array([size[1] / 2, size[0] / 2]) - linear @ np.array([self.x[frame], self.y[frame]])
        return np.column_stack([linear, offset])


def smooth_noise(rng: np.random.Generator, length: int, period: float) -> NDArray[np.float64]:
    """A random curve without jumps.

    Args:
        rng: Source of randomness.
        length: Number of samples.
        period: Typical number of samples from one extreme to the next.

    Returns:
        About within [-1, 1], (length,).
    """
    knots = rng.uniform(-1, 1, int(np.ceil(length / period)) + 3)
    at = rng.uniform(0, 1) + np.arange(length) / period
    whole = at.astype(int)
    part = at - whole
    weight = part * part * (3 - 2 * part)
    return np.asarray(knots[whole] * (1 - weight) + knots[whole + 1] * weight)


def follow(
    rng: np.random.Generator,
    preset: Preset,
    subject_x: NDArray[np.float64],
    aspect: float,
    limit_x: float,
) -> CameraPath:
    """Film a subject with one of the presets.

    Args:
        rng: Source of randomness.
        preset: "static" stands still; "ptz" pans and zooms so that the subject stays near the centre; "handheld"
            follows loosely, drifts, rolls and shakes.
        subject_x: Scene x of the subject in every frame, (N,).
        aspect: Frame width over height.
        limit_x: Largest |x| that the camera may look at.

    Returns:
        The camera's path, N frames.
    """
    count = len(subject_x)
    zero = np.zeros(count)
    if preset == "static":
        return CameraPath(zero, zero + EYE_Y, zero + 1.0, zero)
    half_width = aspect / 2
    if preset == "ptz":
        lag, roam = 0.35, 0.22
        zoom = 1.05 + 0.12 * smooth_noise(rng, count, 16)
        y = EYE_Y + 0.035 * smooth_noise(rng, count, 14)
        angle = zero
        drift = 0.12 * half_width * smooth_noise(rng, count, 8)
    else:
        lag, roam = 0.10, 0.50
        zoom = 1.0 + 0.06 * smooth_noise(rng, count, 20)
        y = EYE_Y + 0.05 * smooth_noise(rng, count, 12) + 0.012 * smooth_noise(rng, count, 1.7)
        angle = np.deg2rad(3.5 * smooth_noise(rng, count, 11) + 0.7 * smooth_noise(rng, count, 2))
        drift = 0.25 * half_width * smooth_noise(rng, count, 10) + 0.012 * smooth_noise(rng, count, 1.5)
    x = np.empty(count)
    x[0] = subject_x[0] + rng.uniform(-0.7, 0.7) * roam * half_width
    for frame in range(1, count):
        x[frame] = x[frame - 1] + lag * (subject_x[frame] - x[frame - 1])
    x = x + drift
    reach = roam * half_width / zoom
    x = np.clip(x, subject_x - reach, subject_x + reach)
    return CameraPath(np.clip(x, -limit_x, limit_x), y, zoom, angle)
