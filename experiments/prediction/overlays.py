"""Overlays: frames with their subjects tinted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from backdrop.found import Found, Pixels
from callbacks.pictures.panels import subject_colour

EDGE = (255, 255, 255)


def draw(image: Pixels, found: Sequence[Found], threshold: float) -> Pixels:
    """Tint the subjects, each in a colour of its own, and draw their outlines and boxes.

    Args:
        image: RGB, (H, W, 3).
        found: The subjects of this frame.
        threshold: Mask values from here on count as subject.

    Returns:
        The overlay, same size.
    """
    painted: Any = image
    thickness = max(1, round(min(image.shape[:2]) / 240))
    for number, subject in reversed(list(enumerate(found))):  # the surest on top
        colour = subject_colour(number)
        inside = (subject.mask >= threshold).astype(np.uint8)
        strength = (0.5 * subject.mask * inside)[..., None]
        tint = np.asarray(colour, dtype=np.float32)
        painted = (painted * (1 - strength) + tint * strength).round().astype(np.uint8)
        outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(painted, outlines, -1, EDGE, thickness)
        x0, y0, x1, y1 = (round(value) for value in subject.box)
        cv2.rectangle(painted, (x0, y0), (x1 - 1, y1 - 1), colour, thickness)
    return np.asarray(painted, dtype=np.uint8)
