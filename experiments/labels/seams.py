"""Several rings as one closed line, for formats that have one polygon for one subject.

Seams join the rings, the shortest that there are (a minimum spanning tree): there and back again. A seam has no width,
so that holes stay holes, under the even-odd rule and under the non-zero rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

Ring = NDArray[np.int64]
"""Points of a closed line, (N, 2), (x, y) each; the first is not repeated at the end."""


def joined(rings: Sequence[Ring]) -> Ring:
    """Join rings by seams between two points of theirs.

    Args:
        rings: The rings, one at least; holes run the other way round than outer borders.

    Returns:
        One ring that passes every point of each.
    """
    if len(rings) == 1:
        return rings[0]
    points, owners = np.concatenate(rings), np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    starts = np.searchsorted(owners, np.arange(len(rings)))
    seams = _seams(points, owners, len(rings))
    weights = 1 + np.linalg.norm(points[seams[:, 0]] - points[seams[:, 1]], axis=1)  # 0 would be no seam
    between = owners[seams]
    graph = coo_array((weights, (between[:, 0], between[:, 1])), shape=(len(rings), len(rings)))
    order, parents = breadth_first_order(minimum_spanning_tree(graph), 0, directed=False)
    found = {(int(one), int(other)): seam for (one, other), seam in zip(between, seams, strict=True)}
    children: list[list[tuple[int, int]]] = [[] for _ in rings]  # (own point, ring that hangs on it)
    entries = [0] * len(rings)
    for ring in order[1:].tolist():
        parent = int(parents[ring])
        seam = found[min(ring, parent), max(ring, parent)]
        there, here = seam if parent < ring else seam[::-1]
        entries[ring] = int(here - starts[ring])
        children[parent].append((int(there - starts[parent]), ring))
    return np.concatenate(_tour(rings, children, entries))


def _seams(points: Ring, owners: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The shortest seam between any two rings that are neighbours: whose points are nearest to two pixels side by side.

    Args:
        points: Of all rings, (N, 2).
        owners: The ring of each, (N,).
        count: How many rings.

    Returns:
        (S, 2): a point of the ring of the lower number, and one of the other.
    """
    x, y = (points - points.min(axis=0)).T
    grid = np.ones((y.max() + 1, x.max() + 1), dtype=np.uint8)
    grid[y, x] = 0
    _, labels = cv2.distanceTransformWithLabels(grid, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    point_of = np.zeros(labels.max() + 1, dtype=np.int64)
    point_of[labels[y, x]] = np.arange(len(points))
    nearest = point_of[labels]
    pairs = [
        np.stack([nearest[:, :-1].ravel(), nearest[:, 1:].ravel()], axis=1),
        np.stack([nearest[:-1].ravel(), nearest[1:].ravel()], axis=1),
        np.stack([np.arange(len(points)), nearest[y, x]], axis=1),  # several rings pass one point
    ]
    seams = np.concatenate([pair[owners[pair[:, 0]] != owners[pair[:, 1]]] for pair in pairs])
    seams = np.where((owners[seams[:, 0]] > owners[seams[:, 1]])[:, None], seams[:, ::-1], seams)
    rings = owners[seams[:, 0]] * count + owners[seams[:, 1]]
    order = np.lexsort((np.linalg.norm(points[seams[:, 0]] - points[seams[:, 1]], axis=1), rings))
    _, first = np.unique(rings[order], return_index=True)
    best: NDArray[np.int64] = seams[order[first]]
    return best


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
