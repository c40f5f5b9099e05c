"""Which frames are used, and in what order: sub-sampling by time, and an order that is even from its beginning on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def within(times: NDArray[np.float64], ranges: Sequence[tuple[float, float]]) -> NDArray[np.int64]:
    """Frames that are shown within ranges of time.

    Args:
        times: When every frame is shown, in seconds, ascending, (N,).
        ranges: (start, end) in seconds; the end is not part of it.

    Returns:
        Positions of the frames, ascending.
    """
    inside = np.zeros(len(times), dtype=bool)
    for start, end in ranges:
        inside |= (times >= start) & (times < end)
    return np.flatnonzero(inside)


def at_rate(times: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """Sub-sample frames to a rate; where the video is slower than that, all frames are kept.

    Time is cut into slots of 1 / rate seconds, and the first frame of each slot is kept.

    Args:
        times: When every frame is shown, in seconds, ascending, (N,).
        rate: Frames per second.

    Returns:
        Positions of the kept frames, ascending.
    """
    if not len(times):
        return np.zeros(0, dtype=np.int64)
    slots = np.floor((times - times[0]) * rate + 1e-6)  # time stamps are rounded: 0.0999 s is the slot from 0.1 s
    return np.asarray(np.unique(slots, return_index=True)[1], dtype=np.int64)


def spread(count: int, batch_size: int) -> list[int]:
    """Order frames so that every batch, and every few batches from the first on, lie evenly over all of them.

    Each batch is a comb of equal gaps. The combs' beginnings follow the golden ratio, whose multiples, taken modulo 1,
    fill the unit interval evenly however many are taken.

    Args:
        count: Number of frames.
        batch_size: Frames in a batch.

    Returns:
        Every position from 0 to ``count - 1``, once.
    """
    batches = -(-count // batch_size)
    starts = np.argsort(np.arange(batches) * (np.sqrt(5) - 1) / 2 % 1)
    return [position for start in starts.tolist() for position in range(start, count, batches)]
