"""Groups of frames that a model sees at once: several, and fewer where frames are large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from backdrop.found import Pixels

MOST = 16
"""Most frames in a group."""
BYTES = 48 * 2**20
"""Bytes of frames after which a group is full: nine frames of 1080p, three of 4K."""


class HasImage(Protocol):
    """What has a picture."""

    @property
    def image(self) -> Pixels:
        """RGB, (H, W, 3)."""


T = TypeVar("T", bound=HasImage)


def batches(frames: Iterable[T], most: int = MOST) -> Iterator[list[T]]:
    """Group frames, so that the model sees several at once and a long or large video never fills the memory.

    Args:
        frames: The frames; none is read ahead of its group.
        most: Most frames in a group, at least 1.

    Yields:
        Groups of one frame at least, whose frames come in order.
    """
    batch, filled = list[T](), 0
    for frame in frames:
        batch.append(frame)
        filled += frame.image.nbytes
        if len(batch) >= most or filled >= BYTES:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch
