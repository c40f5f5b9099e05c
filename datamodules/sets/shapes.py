"""Shapes of frames: what is stretched when frames are scaled."""

from __future__ import annotations

_STRETCH = 1.15


def stretched(size: tuple[int, int], wanted: tuple[int, int]) -> bool:
    """Whether frames change their shape visibly, by more than 15 %, when they are scaled.

    Args:
        size: (height, width) of the frames.
        wanted: (height, width) that they are scaled to.
    """
    return not 1 / _STRETCH < (size[1] / size[0]) / (wanted[1] / wanted[0]) < _STRETCH
