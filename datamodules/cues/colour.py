"""What has the colours of the subject, from the frames around."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from backdrop.stops import may_stop
from datamodules.cues.motion import Plane
from datamodules.plates.windows import windows
from datamodules.readers import Pixels

T = TypeVar("T")

REACH = 24
"""How far the frames lie whose colours count, in frames."""

_BINS = (8, 16, 16)  # of OpenCV's 8-bit CIE Lab
_COUNT = 8 * 16 * 16
_FLOOR = 0.008  # share of the mass that every bin gets its part of
_LIMIT = 3.0

SETTINGS = f"colour {REACH} {_BINS} {_FLOOR} {_LIMIT}"
"""Part of the identity of what is stored."""


class Coloured(NamedTuple):
    """A frame whose colours are to be learnt and judged.

    Attributes:
        lab: OpenCV's 8-bit CIE Lab, (h, w, 3).
        log_odds: That a pixel is the subject, (h, w).
    """

    lab: Pixels
    log_odds: Plane


@dataclass(eq=False)
class _Counted(Generic[T]):
    """A frame with the bin of each pixel, and how much of either class lies in each bin."""

    item: T
    bins: NDArray[np.uint16]  # (h, w)
    mass: NDArray[np.float64]  # (2, bins): subject, scene


def colour_log_odds(frames: Iterable[tuple[T, Coloured]], reach: int = REACH) -> Iterator[tuple[T, Plane]]:
    """Log-odds that a pixel is the subject, from the colours of both in the frames around.

    Histograms of colour in CIE Lab, one for the subject and one for the scene, each pixel in both by its probability
    (a Bayes classifier, Jones and Rehg 2002), smoothed between neighbouring bins.

    Args:
        frames: In order: anything, and the frame.
        reach: How far the frames lie that count, before and after, in frames.

    Yields:
        What was given, and the log-odds, float32, (h, w), in [-3, 3]. ``2 * reach + 1`` frames are in memory.
    """
    for window, at in windows((_counted(item, frame) for item, frame in frames), reach):
        table = bin_log_odds(np.sum([frame.mass for frame in window], axis=0))
        yield window[at].item, table[window[at].bins]


def bin_log_odds(mass: NDArray[np.float64]) -> NDArray[np.float32]:
    """Log-odds of every bin.

    Args:
        mass: Of the subject and of the scene in every bin, (2, bins).

    Returns:
        (bins,), in [-3, 3].
    """
    smooth = mass.reshape(2, *_BINS)
    for axis in (1, 2, 3):
        padded = np.pad(smooth, [(1, 1) if number == axis else (0, 0) for number in range(4)], mode="edge")
        size = smooth.shape[axis]
        before, here, after = (np.take(padded, range(by, by + size), axis) for by in range(3))
        smooth = (before + 2 * here + after) / 4
    share = smooth.reshape(2, -1)
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12) + _FLOOR / _COUNT
    return np.asarray(np.clip(np.log(share[0] / share[1]), -_LIMIT, _LIMIT), dtype=np.float32)


def colour_bins(lab: Pixels) -> NDArray[np.uint16]:
    """The bin of each pixel.

    Args:
        lab: OpenCV's 8-bit CIE Lab, (h, w, 3).

    Returns:
        (h, w), in [0, 2048).
    """
    lightness, a, b = (lab[..., channel].astype(np.uint16) // (256 // count) for channel, count in enumerate(_BINS))
    return np.asarray((lightness * _BINS[1] + a) * _BINS[2] + b, dtype=np.uint16)


def colour_mass(bins: NDArray[np.uint16], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """How much lies in each bin.

    Args:
        bins: Of some pixels, any shape.
        weights: Of each of them, likewise; None counts each as 1.

    Returns:
        (bins,).
    """
    flat = None if weights is None else weights.ravel()
    return np.bincount(bins.ravel(), flat, _COUNT).astype(np.float64)


def _counted(item: T, frame: Coloured) -> _Counted[T]:
    may_stop()
    bins = colour_bins(frame.lab)
    subject = 1 / (1 + np.exp(-frame.log_odds.astype(np.float64)))
    return _Counted(item, bins, np.stack([colour_mass(bins, share) for share in (subject, 1 - subject)]))
