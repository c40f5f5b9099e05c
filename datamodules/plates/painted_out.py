"""A frame as it would look without its subject, made of other frames of its clip (beyond the paper)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.plates.camera_motion import Homography, camera_motion
from datamodules.plates.plate import median_plate
from datamodules.readers import Pixels

OFFSETS = (6, 12, 18, 24)
"""Distances, in frames, of the neighbours that show what is behind the subject."""

_GROWN = 0.04  # of the frame's width: what the mask of the subject leaves out of it
_AROUND = 5  # pixels from which OpenCV goes on into what no neighbour shows

Shown = Callable[[int], tuple[Pixels, NDArray[np.bool_]]]
"""The frame at a position of a clip, RGB, uint8, (h, w, 3), and where its subject is, (h, w)."""


def painted_out(position: int, count: int, shown: Shown) -> Pixels | None:
    """Paint the subject of a frame out: with what its neighbours show there, and else with what is around it.

    The neighbours are registered by the motion of the camera; where the subject is in them they are not looked at.

    Args:
        position: Of the frame in its clip.
        count: Frames of the clip.
        shown: The frames of the clip, and where their subject is.

    Returns:
        RGB, uint8, (h, w, 3); None where there is no subject to paint out, or nothing but subject.
    """
    image, mask = shown(position)
    hidden = _grown(mask)
    if not mask.any() or hidden.all():
        return None
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    plate, known = np.zeros_like(image), np.zeros(mask.shape, dtype=bool)
    neighbours = [one for side in (-1, 1) for one in _neighbours(grey, position, side, count, shown)]
    if neighbours:
        images, seen = zip(*neighbours, strict=True)
        plate, known = median_plate(np.stack(images), np.stack(seen))
    painted = np.where(hidden[..., None], plate, image)
    unknown = (hidden & ~known).astype(np.uint8)
    return np.asarray(cv2.inpaint(painted, unknown, _AROUND, cv2.INPAINT_TELEA), dtype=np.uint8)


def _neighbours(
    grey: Pixels, position: int, side: int, count: int, shown: Shown
) -> Sequence[tuple[Pixels, NDArray[np.bool_]]]:
    """The neighbours on one side as the frame's camera would see them, and where they show the scene."""
    found: list[tuple[Pixels, NDArray[np.bool_]]] = []
    steps: list[Homography] = []
    for offset in OFFSETS:
        other = position + side * offset
        if not 0 <= other < count:
            break
        image, mask = shown(other)
        guess = steps[-1] @ steps[0] if steps else None  # the camera goes on as it began
        motion = camera_motion(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), grey, guess)
        if motion is None:
            break
        steps.append(motion)
        size = (image.shape[1], image.shape[0])
        scene = (~_grown(mask)).astype(np.uint8)  # warped with 0 outside of the neighbour
        seen = cv2.warpPerspective(scene, motion, size, flags=cv2.INTER_NEAREST) > 0
        found.append((np.asarray(cv2.warpPerspective(image, motion, size), np.uint8), seen))
    return found


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with a margin around it."""
    side = 2 * round(_GROWN / 2 * mask.shape[1]) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0, dtype=bool)
