"""Soft masks that flicker less: the median over the frames around each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from backdrop.errors import warn
from backdrop.found import Found
from datamodules.clips.problems import counted

T = TypeVar("T")


def smoothed(pairs: Iterable[tuple[T, Found]], frames: int) -> Iterator[tuple[T, Found]]:
    """Make each mask the median, pixel by pixel, of the masks of as many frames around it.

    What is there in fewer than half of them, such as a flicker, goes; what is missing in fewer than half comes. The
    camera is taken to stand still for as long; a thin part that moves by more than its width in half of that time is
    lost. At the ends of the clip there are fewer frames on both sides. Boxes and scores stay. Where the frames around
    one are of several sizes, its mask stays as it is, and a warning at the end says of how many that is so.

    Args:
        pairs: Anything, and the subject of a frame; where there is none, its mask counts as empty.
        frames: How many, an odd number.

    Yields:
        The same, with the masks smoothed.
    """
    reach = frames // 2
    window = list[tuple[T, Found]]()  # at most `frames` of them: those around the next one that is yielded
    masks = list[NDArray[np.float32]]()
    at = unlike = 0
    for pair in pairs:
        window.append(pair)
        masks.append(pair[1].mask if pair[1].found else np.zeros_like(pair[1].mask))
        if len(window) - 1 - at >= reach:
            smooth, alike = _smooth(window, masks, at, reach)
            unlike += not alike
            yield smooth
            at += 1
        if at > reach:
            del window[0], masks[0]
            at -= 1
    for left in range(at, len(window)):
        smooth, alike = _smooth(window, masks, left, reach)
        unlike += not alike
        yield smooth
    if unlike:
        warn(f"{counted(unlike, 'mask')} not smoothed: the frames around are of several sizes.")


def _smooth(
    window: Sequence[tuple[T, Found]], masks: Sequence[NDArray[np.float32]], at: int, reach: int
) -> tuple[tuple[T, Found], bool]:
    """One of the window, with as many on both sides as there are; and whether these have one size."""
    reach = min(reach, at, len(window) - 1 - at)
    key, found = window[at]
    around = masks[at - reach : at + reach + 1]
    if any(mask.shape != masks[at].shape for mask in around):
        return (key, found), False
    return (key, replace(found, mask=_median(around))), True


def _median(masks: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The median of an odd number of masks of one size: half a bubble sort, in numpy's fast minimum and maximum."""
    rest = list(masks)
    for _ in range(len(rest) // 2 + 1):
        for place in range(len(rest) - 1):  # the largest goes to the end
            low, high = np.minimum(rest[place], rest[place + 1]), np.maximum(rest[place], rest[place + 1])
            rest[place], rest[place + 1] = low, high
        largest = rest.pop()
    return largest
