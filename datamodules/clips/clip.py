"""The record that every data module yields: one clip, its frames and, where annotated, its masks and boxes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datamodules.readers import FrameSource

Mask = NDArray[np.bool_] | NDArray[np.uint8]
"""One subject, bool (H, W), or several: the number of the object at each pixel, 0 = background, uint8 (H, W).

A masked array (:mod:`numpy.ma`) where the annotation leaves open what some pixels are: no score looks there."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the original frame, on pixel edges."""


@dataclass(frozen=True)
class Clip:
    """One clip, not read yet.

    Attributes:
        name: Name that appears in every output; unique within a data module. A slash in it is a folder of the user's.
        source: Its frames.
        masks: Original frame number -> function that reads the mask, see :data:`Mask`; frames not listed have none.
        every_nth: Keep frames at positions 0, n, 2n, … and the annotated ones.
        boxes: Original frame number -> the subject's box, or a function that reads it and returns None where there is
            no subject; frames not listed have none.
        chosen: Original numbers of the frames to keep beside the annotated ones; None leaves it to ``every_nth``.
        annotated_only: Keep the annotated frames only.
        same_as: Name of another clip of which this is the recording, under another name; None where there is none.
    """

    name: str
    source: FrameSource
    masks: Mapping[int, Callable[[], Mask]] = field(default_factory=dict)
    every_nth: int = 1
    boxes: Mapping[int, Box | Callable[[], Box | None]] = field(default_factory=dict)
    chosen: frozenset[int] | None = None
    annotated_only: bool = False
    same_as: str | None = None

    def __len__(self) -> int:
        """Expected number of frames."""
        if self.annotated_only:
            return len(self.annotated)
        return -(-len(self.source) // self.every_nth) if self.chosen is None else len(self.chosen | self.annotated)

    @property
    def recording(self) -> str:
        """Its name, or that of the clip whose recording it is: clips with the same one show the same frames."""
        return self.same_as or self.name

    @property
    def annotated(self) -> frozenset[int]:
        """Original numbers of the frames that have a mask or a box."""
        return frozenset({*self.masks, *self.boxes})

    @property
    def kept(self) -> tuple[str, int, frozenset[int] | None, bool, frozenset[int] | None]:
        """Clips of one data module with equal values keep the same frames of the same clip."""
        samples = self.annotated_only or self.every_nth > 1 or self.chosen is not None
        return self.name, self.every_nth, self.chosen, self.annotated_only, self.annotated if samples else None

    def keeps(self, position: int, frame_number: int) -> bool:
        """Whether the frame at a position (from 0) with an original number is kept."""
        if frame_number in self.masks or frame_number in self.boxes:
            return True
        if self.annotated_only:
            return False
        return position % self.every_nth == 0 if self.chosen is None else frame_number in self.chosen


def refuse_strays(clip: Clip, frame_numbers: NDArray[np.int64], left_out: Collection[int | None] = ()) -> None:
    """Make sure that every annotation of a clip belongs to a frame.

    Args:
        clip: The clip.
        frame_numbers: Original numbers of the frames that could be read, (N,).
        left_out: Original numbers of those that could not.

    Raises:
        ValueError: If a mask or a box belongs to no frame; the message names the first.
    """
    known = {*frame_numbers.tolist(), *left_out}
    for what, annotated in (("mask", clip.masks), ("box", clip.boxes)):
        stray = sorted(set(annotated) - known)
        if stray:
            raise ValueError(
                f"Clip '{clip.name}' has a {what} for frame {stray[0]}, but no such frame: renumber it after its frame "
                "(frames of a video are counted from 0)."
            )
