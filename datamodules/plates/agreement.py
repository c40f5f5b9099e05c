"""What pixels that are near each other in place, time and colour agree on (beyond the paper)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.plates.evidence import Evidence
from datamodules.readers import Pixels

T = TypeVar("T")

_GRIDS = 8
_SPAN = 16  # frames
_SIDE = 0.18  # of the height
_LIGHTNESS, _COLOUR = 16, 10  # of OpenCV's 8-bit CIE Lab: 16 of 255, 10 of a and b

SETTINGS = f"agreement {_GRIDS} {_SPAN} {_SIDE} {_LIGHTNESS} {_COLOUR}"
"""Part of the identity of what is stored."""


@dataclass(eq=False)
class _Waiting(Generic[T]):
    """A frame that not every grid has looked at."""

    item: T
    lab: Pixels
    evidence: Evidence
    covered: NDArray[np.bool_]
    total: NDArray[np.float64] = field(init=False)
    seen_by: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.total = np.zeros(self.evidence.shape)


def agreed(frames: Iterable[tuple[T, Pixels, Evidence, NDArray[np.bool_]]]) -> Iterator[tuple[T, Evidence]]:
    """Smooth the evidence of a clip over pixels that are near each other in place, time and colour.

    A bilateral filter (Tomasi and Manduchi 1998) of the whole clip: a grid cuts place, time and colour into cells, and
    each pixel, covered by a plate or not, takes the mean evidence of the covered pixels of its cell; the mean over
    several grids, shifted against each other, hides their borders (averaged shifted histograms, Scott 1985). A sleeve
    in the colour of the wall then follows the rest of the coat, and an edge that was registered wrong in one frame
    follows those in which it was registered well.

    Args:
        frames: In order: anything, the frame (RGB, uint8, (h, w, 3)), its evidence (h, w), and where its plate covers
            it (h, w).

    Yields:
        What was given, and the evidence that pixels agree on, float32, (h, w). As many frames as a cell spans are
        in memory.
    """
    shifts = np.random.default_rng(0).random((_GRIDS, 5))
    waiting: deque[_Waiting[T]] = deque()

    def look(grid: int) -> None:
        block = [frame for frame in waiting if grid not in frame.seen_by]
        if not block:
            return
        cells = np.stack([_cells(frame.lab, shifts[grid]) for frame in block])
        covered = np.stack([frame.covered for frame in block])
        found = np.stack([frame.evidence for frame in block]) * covered
        known = np.bincount(cells.ravel(), covered.ravel())
        mean = np.bincount(cells.ravel(), found.ravel()) / np.maximum(known, 1)
        for frame, cell in zip(block, cells, strict=True):
            frame.total += mean[cell]
            frame.seen_by.add(grid)

    def ready() -> Iterator[tuple[T, Evidence]]:
        while waiting and len(waiting[0].seen_by) == _GRIDS:
            frame = waiting.popleft()
            yield frame.item, (frame.total / _GRIDS).astype(np.float32)

    for count, (item, image, evidence, covered) in enumerate(frames, start=1):
        waiting.append(_Waiting(item, cv2.cvtColor(image, cv2.COLOR_RGB2LAB), evidence, covered))
        for grid in range(_GRIDS):
            if (count + grid * _SPAN // _GRIDS) % _SPAN == 0:
                look(grid)
        yield from ready()
    for grid in range(_GRIDS):
        look(grid)
    yield from ready()


def _cells(lab: Pixels, shift: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of the cell of each pixel, (h, w); cells of a grid that is shifted by shares of a cell."""
    height, width = lab.shape[:2]
    side = max(1.0, _SIDE * height)
    y, x = np.mgrid[:height, :width]
    places = (y / side, x / side, lab[..., 0] / _LIGHTNESS, lab[..., 1] / _COLOUR, lab[..., 2] / _COLOUR)
    parts = [np.floor(place + by).astype(np.int64) for place, by in zip(places, shift, strict=True)]
    ends = (height / side, width / side, 256 / _LIGHTNESS, 256 / _COLOUR, 256 / _COLOUR)
    limits = tuple(int(np.ceil(end)) + 1 for end in ends)
    return np.asarray(np.ravel_multi_index(parts, limits), dtype=np.int64)
