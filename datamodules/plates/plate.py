"""A background plate, what a frame would show without its subject, and the planes in which the store keeps it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.clips.planes import Plane
from datamodules.plates.evidence import Evidence
from datamodules.readers import Pixels

PLATE, COVERED, EVIDENCE = Plane("plate", colour=True), Plane("covered", exact=True), Plane("evidence")
"""What the frame would show without its subject; 255 where that is known; 255 times the evidence."""


class Plate(NamedTuple):
    """What is known of the scene behind a frame.

    Attributes:
        pixels: RGB, uint8, (h, w, 3), 0 where it is not known.
        covered: Where it is known, bool, (h, w).
        evidence: How surely each pixel of the frame is not that scene, float32, (h, w), in [0, 1].
    """

    pixels: Pixels
    covered: NDArray[np.bool_]
    evidence: Evidence


def coverage_bytes(covered: NDArray[np.bool_]) -> Pixels:
    """Coverage as the plane that keeps it, (h, w)."""
    return covered * np.uint8(255)


def evidence_bytes(evidence: Evidence) -> Pixels:
    """Evidence as the plane that keeps it, (h, w)."""
    return (evidence * 255).round().astype(np.uint8)


def median_plate(images: NDArray[np.uint8], seen: NDArray[np.bool_]) -> tuple[Pixels, NDArray[np.bool_]]:
    """Per-pixel median of registered frames.

    Args:
        images: (N, h, w, 3).
        seen: Where each of them shows something, (N, h, w).

    Returns:
        The plate, uint8, (h, w, 3), 0 where no frame shows anything; and where any does, bool, (h, w).
    """
    covered = np.asarray(seen.any(axis=0), dtype=bool)
    known = np.where(seen[..., None], images, np.float32(np.nan))  # (N, h, w, 3)
    known[:, ~covered] = 0
    return np.nanmedian(known, axis=0).round().astype(np.uint8), covered
