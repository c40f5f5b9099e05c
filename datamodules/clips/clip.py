"""The record that every data module yields: one clip, its frames and, where annotated, its masks and boxes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backdrop.boxes import from_corners
from datamodules.readers import FrameSource, resize_mask, resize_objects

Mask = NDArray[np.bool_] | NDArray[np.uint8]
"""One subject, bool (H, W), or several: the number of the object at each pixel, 0 = background, uint8 (H, W)."""
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
    """

    name: str
    source: FrameSource
    masks: Mapping[int, Callable[[], Mask]] = field(default_factory=dict)
    every_nth: int = 1
    boxes: Mapping[int, Box | Callable[[], Box | None]] = field(default_factory=dict)
    chosen: frozenset[int] | None = None
    annotated_only: bool = False

    def __len__(self) -> int:
        """Expected number of frames."""
        if self.annotated_only:
            return len(self.annotated)
        return -(-len(self.source) // self.every_nth) if self.chosen is None else len(self.chosen | self.annotated)

    @property
    def annotated(self) -> frozenset[int]:
        """Original numbers of the frames that have a mask or a box."""
        return frozenset({*self.masks, *self.boxes})

    @property
    def kept(self) -> tuple[str, int, frozenset[int] | None, bool, frozenset[int] | None]:
        """Clips of one data module with equal values keep the same frames of the same clip."""
        samples = self.annotated_only or self.every_nth > 1 or self.chosen is not None
        return self.name, self.every_nth, self.chosen, self.annotated_only, self.annotated if samples else None

    def keeps(self, position: int, number: int) -> bool:
        """Whether the frame at a position (from 0) with an original number is kept."""
        if number in self.masks or number in self.boxes:
            return True
        if self.annotated_only:
            return False
        return position % self.every_nth == 0 if self.chosen is None else number in self.chosen


@dataclass(frozen=True)
class ClipMasks:
    """The masks of one clip in memory, compressed, aligned with its frames.

    Attributes:
        packed: Masks at the evaluation size by position, eight pixels to a byte, compressed; annotated frames only.
        annotated: Whether the frame has a mask, bool, (N,).
        size: Evaluation size (height, width) in pixels.
        numbers: Numbers of the objects at the evaluation size by position, compressed; where masks tell them apart.
    """

    packed: Mapping[int, bytes]
    annotated: NDArray[np.bool_]
    size: tuple[int, int]
    numbers: Mapping[int, bytes] = field(default_factory=dict)

    def objects(self, position: int) -> NDArray[np.uint8]:
        """Number of the object at each pixel, 0 = background, uint8 (H, W); 1 where the mask knows but one subject."""
        if position not in self.numbers:
            return self[position].astype(np.uint8)
        return np.frombuffer(zlib.decompress(self.numbers[position]), np.uint8).reshape(self.size).copy()

    def __getitem__(self, position: int) -> NDArray[np.bool_]:
        """Mask at a position, bool (H, W); all False where the frame is not annotated."""
        height, width = self.size
        if not self.annotated[position]:
            return np.zeros(self.size, dtype=bool)
        bits = np.frombuffer(zlib.decompress(self.packed[position]), np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)


def refuse_strays(clip: Clip, indices: NDArray[np.int64], left_out: Collection[int | None] = ()) -> None:
    """Make sure that every annotation of a clip belongs to a frame.

    Args:
        clip: The clip.
        indices: Original numbers of the frames that could be read, (N,).
        left_out: Original numbers of those that could not.

    Raises:
        ValueError: If a mask or a box belongs to no frame; the message names the first.
    """
    known = {*indices.tolist(), *left_out}
    for what, annotated in (("mask", clip.masks), ("box", clip.boxes)):
        stray = sorted(set(annotated) - known)
        if stray:
            raise ValueError(
                f"Clip '{clip.name}' has a {what} for frame {stray[0]}, but no such frame: renumber it after its frame "
                "(frames of a video are counted from 0)."
            )


def read_masks(
    clip: Clip, indices: NDArray[np.int64], size: tuple[int, int], tick: Callable[[], object] | None = None
) -> ClipMasks:
    """Read the masks of a clip at the evaluation size.

    Args:
        clip: The clip.
        indices: Original numbers of the frames that could be read, (N,).
        size: Evaluation size (height, width) in pixels.
        tick: Called after every mask, for a progress bar.

    Returns:
        The masks, aligned with ``indices``; those of other frames are not read.

    Raises:
        ValueError: If a mask differs in size from the frames.
    """
    packed: dict[int, bytes] = {}
    numbers: dict[int, bytes] = {}
    annotated = np.zeros(len(indices), dtype=bool)
    frame_size = clip.source.original_size() if clip.masks else size
    for position, index in enumerate(indices.tolist()):
        if index in clip.masks:
            mask = clip.masks[index]()
            if mask.shape != frame_size:
                raise ValueError(
                    f"The mask of frame {index} of clip '{clip.name}' is {mask.shape[1]}x{mask.shape[0]} pixels, its "
                    f"frames are {frame_size[1]}x{frame_size[0]}: save the mask at the size of its frame."
                )
            joined = resize_mask(mask > 0, size)
            packed[position] = zlib.compress(np.packbits(joined).tobytes(), level=1)
            if mask.dtype != np.bool_:
                numbers[position] = zlib.compress(resize_objects(mask, joined).tobytes(), level=1)
            annotated[position] = True
            if tick is not None:
                tick()
    return ClipMasks(packed, annotated, size, numbers)


def read_boxes(
    clip: Clip, indices: NDArray[np.int64], tick: Callable[[], object] | None = None
) -> NDArray[np.float32]:
    """Read the boxes of a clip.

    Args:
        clip: The clip.
        indices: Original numbers of the frames that could be read, (N,).
        tick: Called after every box, for a progress bar.

    Returns:
        Boxes aligned with ``indices``, (N, 4): (cx, cy, sx, sy), centre and half-extent in [-1, 1], x right, y down,
        ±1 on the outer pixel edges; NaN where the frame has none.

    Raises:
        ValueError: If a box does not lie in its frame.
    """
    boxes = np.full((len(indices), 4), np.nan, dtype=np.float32)
    if not clip.boxes:
        return boxes
    height, width = clip.source.original_size()
    for position, index in enumerate(indices.tolist()):
        given = clip.boxes.get(index)
        box = given() if callable(given) else given
        if tick is not None and given is not None:
            tick()
        if box is None:
            continue
        x0, y0, x1, y1 = box
        if not (x0 < x1 and y0 < y1 and x0 < width and y0 < height and x1 > 0 and y1 > 0):
            raise ValueError(
                f"The box of frame {index} of clip '{clip.name}' is ({x0:g}, {y0:g}, {x1:g}, {y1:g}), expected x0 < x1 "
                f"and y0 < y1 within its {width}x{height} pixels: mend or remove it."
            )
        boxes[position] = from_corners((x0, y0, x1, y1), (height, width))
    return boxes
