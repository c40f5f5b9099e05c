"""Several rings as one closed line, for formats that have one polygon for one subject.

From each further ring a seam leads to the nearest one and back. A seam has no width, so that holes stay holes, under
the even-odd rule and under the non-zero rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Ring = NDArray[np.int64]
"""Points of a closed line, (N, 2), (x, y) each; the first is not repeated at the end."""


def joined(rings: Sequence[Ring]) -> Ring:
    """Join rings by seams, which take the shortest way between two points of theirs.

    Args:
        rings: The rings, one at least; holes run the other way round than outer borders.

    Returns:
        One ring that passes every point of each.
    """
    sizes = [len(ring) for ring in rings]
    points, owners = np.concatenate(rings), np.repeat(np.arange(len(rings)), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    distances, nearest = np.full(len(points), np.inf), np.zeros(len(points), dtype=np.int64)
    children: list[list[tuple[int, int]]] = [[] for _ in rings]  # (own point, ring that hangs on it)
    entries = [0] * len(rings)
    open_ = owners != 0
    ring = 0
    while open_.any():
        found, where = cKDTree(rings[ring]).query(points[open_])
        rest = np.flatnonzero(open_)
        closer = rest[found < distances[rest]]
        nearest[closer] = where[found < distances[rest]] + starts[ring]
        distances[rest] = np.minimum(distances[rest], found)
        best = int(rest[np.argmin(distances[rest])])
        ring = int(owners[best])
        parent = int(nearest[best])
        entries[ring] = best - int(starts[ring])
        children[owners[parent]].append((parent - int(starts[owners[parent]]), ring))
        open_ &= owners != ring
    return np.concatenate(_tour(rings, children, entries))


def _tour(rings: Sequence[Ring], children: Sequence[list[tuple[int, int]]], entries: Sequence[int]) -> list[Ring]:
    """Walk all rings, each from its entry round to it again; where one hangs, that one is walked in between."""
    walked = list[Ring]()
    stack: list[Ring | int] = [0]
    while stack:
        ring = stack.pop()
        if not isinstance(ring, int):
            walked.append(ring)
            continue
        size, entry = len(rings[ring]), entries[ring]
        turned = np.roll(rings[ring], -entry, axis=0)
        closed = np.concatenate([turned, turned[:1]]) if ring else turned
        parts: list[Ring | int] = []
        done = 0
        for place, child in sorted(((place - entry) % size, child) for place, child in children[ring]):
            parts += [closed[done : place + 1], child]
            done = place  # the way goes on from the point that the seam comes back to
        stack += reversed([*parts, closed[done:]])
    return walked


def without_straight(ring: Ring) -> Ring:
    """Leave out the points in the middle of straight lines.

    Args:
        ring: Points, (N, 2), each of them another than the one before.

    Returns:
        The points where the line turns, and both points of what is only a line; a single point stays.
    """
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    crossed = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turns = (crossed != 0) | ((before * after).sum(axis=1) <= 0)
    kept: Ring = ring[turns]
    return kept
