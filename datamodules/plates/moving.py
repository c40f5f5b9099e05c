"""Where in a frame the subject seems to be, from its evidence."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.plates.evidence import Evidence

_STANDS_OUT = 0.4  # evidence
_SPECK = 3  # pixels: what is thinner, such as a rail that is registered wrong, is not the subject
_CONNECTED = 5.0  # w
_BORDER = 1 / 45  # of the height: how far the subject may go on beyond what stands out

SETTINGS = f"moving {_STANDS_OUT} {_SPECK} {_CONNECTED} {_BORDER:.4f}"
"""Part of the identity of what is stored."""


def moving_blob(evidence: Evidence) -> NDArray[np.uint8]:
    """The connected region that stands out most, and lies inside the frame.

    One region, as there is one subject: elsewhere the plate is wrong. That happens near the camera most of all, in what
    passes by at the border, so regions that touch it count less: by ``1 / (1 + w c^2)``, where c is the length of the
    frame's border in the region over the root of the region's area (boundary connectivity, Zhu et al. 2014). A subject
    that the frame cuts still outweighs specks inside.

    Args:
        evidence: How surely each pixel is not the scene, (h, w), see :func:`datamodules.plates.evidence.evidence`.

    Returns:
        uint8, (h, w): 1 in the region and a little around it, 0 elsewhere.
    """
    wide = cv2.morphologyEx((evidence > _STANDS_OUT).astype(np.uint8), cv2.MORPH_OPEN, _disc(_SPECK))
    count, labels = cv2.connectedComponents(wide)
    if count < 2:
        return np.zeros(evidence.shape, np.uint8)
    ends = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    connectivity = np.bincount(ends, minlength=count) / np.sqrt(np.bincount(labels.ravel(), minlength=count))
    mass = np.bincount(labels.ravel(), weights=evidence.ravel(), minlength=count)
    weight = mass / (1 + _CONNECTED * connectivity**2)
    blob = (labels == 1 + int(weight[1:].argmax())).astype(np.uint8)
    return np.asarray(cv2.dilate(blob, _disc(2 * round(len(blob) * _BORDER) + 1)), dtype=np.uint8)


def _disc(diameter: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)), dtype=np.uint8)
