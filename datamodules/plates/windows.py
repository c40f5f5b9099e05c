"""Items of a stream with those around them, in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def windows(items: Iterable[T], reach: int) -> Iterator[tuple[list[T], int]]:
    """Each item of a stream, in order, with those up to ``reach`` before and after it.

    Args:
        items: The stream; it is read ``reach`` items ahead.
        reach: How far the window goes, in items.

    Yields:
        The window, and the position of the item in it.
    """
    held: deque[T] = deque(maxlen=2 * reach + 1)
    arrived = made = 0
    for item in items:
        held.append(item)
        arrived += 1
        if arrived > reach:
            first = max(0, made - reach)
            yield list(held)[first - (arrived - len(held)) :], made - first
            made += 1
    while made < arrived:
        first = max(0, made - reach)
        yield list(held)[first - (arrived - len(held)) :], made - first
        made += 1


def chunks(items: Iterable[T], length: int, shared: int) -> Iterator[tuple[list[T], slice]]:
    """A stream in pieces that overlap, for what looks at many items at once.

    Args:
        items: The stream.
        length: Most items in a piece, more than ``shared``.
        shared: How many of them the next piece has too, even: each keeps the half on its side.

    Yields:
        A piece, and which of its items are its own. A stream of up to ``length`` items is one piece; an empty one none.
    """
    held: list[T] = []
    own = 0  # the first of those held that belongs to no former piece
    for item in items:
        if len(held) == length:
            yield held, slice(own, length - shared // 2)
            held, own = held[length - shared :], shared // 2
        held.append(item)
    if held:
        yield held, slice(own, len(held))
