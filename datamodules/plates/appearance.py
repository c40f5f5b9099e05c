"""The colours of the subject, by which its evidence is sharpened (beyond the paper)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.plates.evidence import Evidence
from datamodules.plates.windows import windows
from datamodules.readers import Pixels

T = TypeVar("T")

_REACH = 40  # frames
_LIGHTNESS, _COLOUR = 32, 8  # of OpenCV's 8-bit CIE Lab, the sides of a bin
_BINS = (256 // _LIGHTNESS, 256 // _COLOUR, 256 // _COLOUR)
_WEIGHT = 0.15  # of the colours' log-odds beside those of the evidence
_CERTAIN = 0.99  # log-odds are bounded there

SETTINGS = f"appearance {_REACH} {_LIGHTNESS} {_COLOUR} {_WEIGHT} {_CERTAIN}"
"""Part of the identity of what is stored."""


@dataclass(frozen=True)
class _Counted(Generic[T]):
    """A frame and its histograms."""

    item: T
    bins: NDArray[np.int32]  # of each pixel, (h, w)
    evidence: Evidence
    subject: NDArray[np.float32]  # evidence of the subject by bin
    pixels: NDArray[np.float32]  # by bin


def by_colour(frames: Iterable[tuple[T, Pixels, Evidence, Evidence]]) -> Iterator[tuple[T, Evidence]]:
    """Raise the evidence of pixels in the colours of the subject, and lower that of others.

    Over the frames around, a histogram of colours tells how much of each is subject, as in the posterior of Bradski's
    CAMShift (1998). The log-odds of that, over what is usual for the subject, are added with a small weight to those
    of the evidence: a bush that was registered badly has the colours of other bushes, which were registered well.

    Args:
        frames: In order: anything, the frame (RGB, uint8, (h, w, 3)), its evidence (h, w), and of that what is thought
            to be the subject's.

    Yields:
        What was given, and the evidence, float32, (h, w) in [0, 1]. The frames around are in memory.
    """
    for window, at in windows(map(_counted, frames), _REACH):
        subject = np.sum([frame.subject for frame in window], axis=0)
        pixels = np.sum([frame.pixels for frame in window], axis=0)
        odds = _log_odds(subject / np.maximum(pixels, 1))
        odds -= (subject * odds).sum() / max(float(subject.sum()), 1e-6)
        frame = window[at]
        sharpened = _log_odds(frame.evidence) + _WEIGHT * odds[frame.bins]
        yield frame.item, (1 / (1 + np.exp(-sharpened))).astype(np.float32)


def _counted(given: tuple[T, Pixels, Evidence, Evidence]) -> _Counted[T]:
    item, image, evidence, subject = given
    lightness, a, b = (part.astype(np.int32) for part in cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB)))
    bins = np.ravel_multi_index((lightness // _LIGHTNESS, a // _COLOUR, b // _COLOUR), _BINS).astype(np.int32)
    size = int(np.prod(_BINS))
    mass = np.bincount(bins.ravel(), subject.ravel(), size).astype(np.float32)
    return _Counted(item, bins, evidence, mass, np.bincount(bins.ravel(), minlength=size).astype(np.float32))


def _log_odds(share: NDArray[np.floating]) -> NDArray[np.floating]:
    bounded = np.clip(share, 1 - _CERTAIN, _CERTAIN)
    return np.asarray(np.log(bounded / (1 - bounded)))
