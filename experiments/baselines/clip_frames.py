"""The frames of a stored clip as a sequence: read when they are asked for, so that a clip may be of any length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np

from datamodules.readers import Pixels
from datamodules.store.entry import StoredClip


class ClipFrames(Sequence[Pixels]):
    """Frames of a clip in the frame store, RGB, uint8, (H, W, 3).

    Args:
        clip: The clip.
        numbers: Original numbers of the frames that are to be predicted, ascending.

    Attributes:
        name: Name of the clip.
        wanted: Their positions in the clip.
    """

    def __init__(self, clip: StoredClip, numbers: Iterable[int]) -> None:
        self.clip = clip
        self.name = clip.name
        self.wanted: list[int] = np.searchsorted(clip.frame_numbers, list(numbers)).tolist()

    def __len__(self) -> int:
        """Number of frames, wanted or not."""
        return len(self.clip)

    def number(self, position: int) -> int:
        """Original number of a frame."""
        return int(self.clip.frame_numbers[position])

    @overload
    def __getitem__(self, position: int) -> Pixels: ...

    @overload
    def __getitem__(self, position: slice) -> list[Pixels]: ...

    def __getitem__(self, position: int | slice) -> Pixels | list[Pixels]:
        """One frame, or some."""
        if isinstance(position, slice):
            return [self[one] for one in range(*position.indices(len(self)))]
        if not 0 <= position < len(self):
            raise IndexError(position)
        found: Pixels = self.clip.read([position])[0]
        return found
