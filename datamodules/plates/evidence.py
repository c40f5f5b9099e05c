"""How surely each pixel of a frame is not the scene that its plate shows (beyond the paper)."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.readers import Pixels

Evidence = NDArray[np.float32]
"""(h, w) in [0, 1)."""
EvidenceKind = Literal["measured", "agreed", "one_subject", "appearance"]
"""As :func:`plate_evidence` measures it; after :func:`datamodules.plates.agreement.agreed`; of that only the region of
:func:`datamodules.plates.moving.moving_blob`; and the same once more after
:func:`datamodules.plates.appearance.by_colour`."""

_SCALE = 4.5  # error that counts half, over the usual one
_LEAST_USUAL = 3.0  # of 255: noise of a camera that stands still
_SMOOTHING = 1.5  # pixels, standard deviation

SETTINGS = f"evidence {_SCALE} {_LEAST_USUAL} {_SMOOTHING}"
"""Part of the identity of what is stored."""


def plate_evidence(image: Pixels, plate: Pixels, covered: NDArray[np.bool_]) -> Evidence:
    """The smoothed error e of a plate, bounded and in units of what is usual in its frame: ``e^2 / (e^2 + s^2)``.

    An error is forgiven where another pixel next to it has that colour in the plate: an edge of a fence that is
    registered wrong by a pixel is none. Usual is the median of e over the frame: the subject fills less than half of
    it, so what the median tells of is noise, blur and misregistration, of which each clip has its own; s is a multiple
    of it. The bound is that of Geman and McClure (1987): a subject in the colours of the scene counts nearly as much as
    one that stands out. Smoothing fills what by chance looks like the scene.

    Args:
        image: RGB, uint8, (h, w, 3).
        plate: RGB, uint8, (h, w, 3).
        covered: Where the plate shows anything, (h, w); elsewhere is evidence of nothing.

    Returns:
        float32, (h, w), in [0, 1).
    """
    if not covered.any():
        return np.zeros(covered.shape, np.float32)
    around = np.ones((3, 3), np.uint8)
    beyond = np.maximum(cv2.subtract(image, cv2.dilate(plate, around)), cv2.subtract(cv2.erode(plate, around), image))
    error = np.linalg.norm(beyond.astype(np.float32), axis=2) * covered
    smooth = cv2.GaussianBlur(error, (0, 0), _SMOOTHING)
    unit = _SCALE * max(float(np.median(smooth[covered])), _LEAST_USUAL)
    return np.asarray(covered * smooth**2 / (smooth**2 + unit**2), dtype=np.float32)
