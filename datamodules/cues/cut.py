"""The subject of a clip as one cut through space and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from ortools.graph.python import max_flow

from backdrop.stops import may_stop
from datamodules.cues.flow import Flow
from datamodules.cues.motion import Plane
from datamodules.plates.windows import chunks
from datamodules.readers import Pixels

T = TypeVar("T")

Links = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]
"""Pairs of nodes (from, to) and what it costs to part each."""

_SPACE, _FLOOR, _CONTRAST = 8.0, 0.05, 0.6
_TIME, _TIME_CONTRAST = 4.0, 450.0
_UNIT = 1000  # capacities are whole numbers
_WINDOW, _OVERLAP = 32, 8  # frames that are cut as one graph, and how many of them the next graph has too
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))

SETTINGS = f"cut {_SPACE} {_FLOOR} {_CONTRAST} {_TIME} {_TIME_CONTRAST} {_UNIT} {_WINDOW} {_OVERLAP}"
"""Part of the identity of what is stored."""


class Cuttable(NamedTuple):
    """A frame that is to be cut.

    Attributes:
        lab: OpenCV's 8-bit CIE Lab, (h, w, 3).
        log_odds: That a pixel is the subject, (h, w).
        to_next: Flow to the next frame, (h, w, 2), in cells of the grid; None where there is none.
    """

    lab: Pixels
    log_odds: Plane
    to_next: Flow | None


def cut(frames: list[Cuttable]) -> NDArray[np.bool_]:
    """The minimum cut of some frames, as one graph (Boykov and Jolly 2001).

    Each pixel is a node. What it costs to call it the subject or the scene are its log-odds; to part it from its eight
    neighbours costs the more the more alike their colours are; and to part it from the pixel to which the flow leads
    in the next frame likewise.

    Args:
        frames: In order, all of one size.

    Returns:
        Where the subject is, bool, (frames, h, w).

    Raises:
        RuntimeError: If the solver fails.
    """
    count, (height, width) = len(frames), frames[0].log_odds.shape
    cells = height * width
    links = [links_in_space(frame, at * cells) for at, frame in enumerate(frames)]
    links += [_in_time(one, other, at * cells) for at, (one, other) in enumerate(pairwise(frames))]
    tails, heads, costs = (np.concatenate(parts) for parts in zip(*links, strict=True))
    odds = np.stack([frame.log_odds for frame in frames]).ravel()
    return minimum_cut(odds, (tails, heads, costs)).reshape(count, height, width)


def cut_in_windows(
    frames: Iterable[tuple[T, Cuttable]], window: int = _WINDOW, shared: int = _OVERLAP
) -> Iterator[tuple[T, NDArray[np.bool_]]]:
    """Cut a clip of any length.

    Args:
        frames: In order: anything, and the frame.
        window: How many frames are cut as one graph.
        shared: How many of them the next graph has too, even; the first half keeps the labels of the first graph.

    Yields:
        What was given, and where the subject is, bool, (h, w). A clip of up to ``window`` frames is cut as a whole.
    """
    for held, own in chunks(frames, window, shared):
        may_stop()
        masks = cut([frame for _, frame in held])
        yield from zip((item for item, _ in held[own]), masks[own], strict=True)


def minimum_cut(log_odds: NDArray[np.float32], links: Links) -> NDArray[np.bool_]:
    """Labels of least cost: minus the sum of the log-odds of the subject's nodes, plus the links that are parted.

    Solved exactly, up to rounding to thousandths, by maximum flow (push-relabel, Cherkassky and Goldberg 1997, as
    OR-tools implements it).

    Args:
        log_odds: Of every node, (N,).
        links: Pairs of nodes with costs that are not negative; each pair at most once.

    Returns:
        True for the subject, (N,).

    Raises:
        RuntimeError: If the solver fails.
    """
    count = len(log_odds)
    source, sink = count, count + 1
    tails, heads, costs = links
    capacity = np.rint(costs * _UNIT).astype(np.int64)
    kept = capacity > 0
    tails, heads, capacity = tails[kept], heads[kept], capacity[kept]
    unary = np.rint(log_odds * _UNIT).astype(np.int64)
    subject, scene = np.flatnonzero(unary > 0).astype(np.int32), np.flatnonzero(unary < 0).astype(np.int32)
    solver = max_flow.SimpleMaxFlow()
    solver.add_arcs_with_capacity(
        np.concatenate([tails, heads, np.full(len(subject), source, np.int32), scene]),
        np.concatenate([heads, tails, subject, np.full(len(scene), sink, np.int32)]),
        np.concatenate([capacity, capacity, unary[subject], -unary[scene]]),
    )
    status = solver.solve(source, sink)
    if status != solver.OPTIMAL:
        raise RuntimeError(f"The minimum cut of {count} nodes failed with status {status}.")
    found = np.zeros(count + 2, bool)
    found[solver.get_source_side_min_cut()] = True
    return found[:count]


def links_in_space(frame: Cuttable, first: int, where: NDArray[np.bool_] | None = None) -> Links:
    """Links of a frame's pixels with their eight neighbours.

    Args:
        frame: The frame.
        first: Number of its first node.
        where: Only links with a pixel of these, (h, w); None takes all.

    Returns:
        The links; the unit of contrast is the mean over all that are returned.
    """
    lab = frame.lab.astype(np.float32)
    height, width = lab.shape[:2]
    number = np.arange(first, first + height * width, dtype=np.int32).reshape(height, width)
    tails, heads, differences, distances = [], [], [], []
    for down, right in _NEIGHBOURS:
        one = (slice(None, height - down), slice(max(0, -right), width - max(0, right)))
        other = (slice(down, None), slice(max(0, right), width - max(0, -right)))
        kept = slice(None) if where is None else (where[one] | where[other]).ravel()
        tails.append(number[one].ravel()[kept])
        heads.append(number[other].ravel()[kept])
        differences.append(((lab[one] - lab[other]) ** 2).sum(axis=2).ravel()[kept])
        distances.append(np.full(tails[-1].size, np.hypot(down, right), np.float32))
    squared = np.concatenate(differences)
    alike = np.exp(-squared / (_CONTRAST * max(float(squared.mean()), 1e-6)))
    costs = _SPACE * (_FLOOR + (1 - _FLOOR) * alike) / np.concatenate(distances)
    return np.concatenate(tails), np.concatenate(heads), costs.astype(np.float32)


def _in_time(frame: Cuttable, following: Cuttable, first: int) -> Links:
    """Links of a frame's pixels with those of the next to which the flow leads, where it leads into the frame."""
    height, width = frame.log_odds.shape
    if frame.to_next is None:
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)
    y, x = np.mgrid[:height, :width]
    to_x = np.rint(x + frame.to_next[..., 0]).astype(np.int32)
    to_y = np.rint(y + frame.to_next[..., 1]).astype(np.int32)
    inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
    heads = first + height * width + to_y[inside] * width + to_x[inside]
    tails = first + np.flatnonzero(inside)
    difference = frame.lab[inside].astype(np.float32) - following.lab[to_y[inside], to_x[inside]].astype(np.float32)
    costs = _TIME * np.exp(-(difference**2).sum(axis=1) / _TIME_CONTRAST)
    return tails.astype(np.int32), heads.astype(np.int32), costs.astype(np.float32)
