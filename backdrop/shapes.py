"""The shape of a mask as others want it: rings along its border, and the runs of COCO.

Convention: coordinates are (x, y) in pixels, from the frame's left and upper outer edge, on the edges of pixels, as in
boxes: the ring of one pixel in the corner is (0, 0), (1, 0), (1, 1), (0, 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backdrop.drawing import span

Ring = NDArray[np.int64]
"""The corners of a closed line, (N, 2), (x, y) each; the first is not repeated at the end."""

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # right, down, left, up


@dataclass(frozen=True)
class Polygon:
    """One piece of a mask: pixels that touch at a corner only are two pieces.

    Attributes:
        outer: Its outer border, clockwise as one sees it.
        holes: The borders of its holes, the other way round.
    """

    outer: Ring
    holes: tuple[Ring, ...] = ()


def polygons(mask: NDArray[np.bool_]) -> list[Polygon]:
    """The borders of a mask, exact to the pixel.

    Args:
        mask: Bool, (H, W).

    Returns:
        Its pieces, the largest first; none where it is empty.
    """
    outer, holes = list[tuple[int, Ring]](), list[Ring]()
    for ring in _rings(mask):
        area = _area(ring)
        if area > 0:
            outer.append((area, ring))
        else:
            holes.append(ring)
    outer.sort(key=lambda pair: -pair[0])
    inside: list[list[Ring]] = [[] for _ in outer]
    corners = np.asarray([[*ring.min(axis=0), *ring.max(axis=0)] for _, ring in outer]).reshape(-1, 4)
    for hole in holes:
        around = (corners[:, :2] <= hole.min(axis=0)) & (corners[:, 2:] >= hole.max(axis=0))
        candidates = np.flatnonzero(around.all(axis=1))[::-1].tolist()  # the smallest first
        inside[next(at for at in candidates if _holds(outer[at][1], hole))].append(hole)
    return [Polygon(ring, tuple(own)) for (_, ring), own in zip(outer, inside, strict=True)]


def _rings(mask: NDArray[np.bool_]) -> Iterator[Ring]:
    """Follow the borders of a mask, each with the mask on its right."""
    if (where := span(mask)) is None:
        return
    top, left = where[0].start, where[1].start
    inner = np.pad(mask[where], 1)
    above, below = inner[:-1, 1:], inner[1:, 1:]
    before, after = inner[1:, :-1], inner[1:, 1:]
    starts = [below & ~above, before & ~after, above & ~below, after & ~before]  # at the edge's first pixel
    shifts = ((0, 0), (0, 0), (1, 0), (0, 1))  # from that pixel's corner to where the edge begins, (x, y)
    edges: dict[tuple[int, int], list[int]] = {}
    for way, (there, (dx, dy)) in enumerate(zip(starts, shifts, strict=True)):
        for y, x in np.argwhere(there).tolist():
            edges.setdefault((x + dx, y + dy), []).append(way)
    while edges:
        (x, y), ways = next(iter(edges.items()))
        way = first = ways[0]
        begin, corners = (x, y), list[tuple[int, int]]()
        while True:
            ways = edges[x, y]
            turn = next(way for way in ((way + 1) % 4, way, (way - 1) % 4) if way in ways) if corners else first
            if turn != way or not corners:
                corners.append((x, y))
            way = turn
            ways.remove(way)
            if not ways:
                del edges[x, y]
            x, y = x + _STEPS[way][0], y + _STEPS[way][1]
            if (x, y) == begin and not _goes_on(edges.get(begin, []), way, first):
                break
        ring = np.asarray(corners, dtype=np.int64)
        yield (ring[1:] if way == first else ring) + (left, top)


def _goes_on(ways: Sequence[int], way: int, first: int) -> bool:
    """Whether a ring that is back where it began turns off there, where two of its pixels touch at a corner."""
    return (way + 1) % 4 in ways and (way + 1) % 4 != first


def _area(ring: Ring) -> int:
    """Twice the area of a ring; negative the other way round."""
    x, y = ring.T
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def _holds(ring: Ring, hole: Ring) -> bool:
    """Whether a ring holds a hole: a ray to the left from a pixel of the hole crosses it an odd number of times."""
    (x0, y0), (x1, y1) = ring.T, np.roll(ring, -1, axis=0).T
    top = hole[hole[:, 1] == hole[:, 1].min()]
    x, y = top[:, 0].min() + 0.5, top[0, 1] + 0.5  # its first pixel
    upright = (x0 == x1) & (x0 < x) & (np.minimum(y0, y1) < y) & (np.maximum(y0, y1) > y)
    return bool(upright.sum() % 2)


def coco_runs(mask: NDArray[np.bool_]) -> str:
    """A mask as the compressed run lengths of COCO, the ``counts`` beside its ``size``.

    Columns follow each other; runs without and with the subject take turns, the first without. Each is written as its
    difference to the one two before, in characters of five bits, as pycocotools does it.

    Args:
        mask: Bool, (H, W).
    """
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()
    found = bytearray()
    for at, run in enumerate(runs):
        value = run - runs[at - 2] if at > 2 else run
        while True:
            bits, value = value & 31, value >> 5
            last = value == (-1 if bits & 16 else 0)
            found.append(48 + (bits if last else bits | 32))
            if last:
                break
    return found.decode("ascii")
