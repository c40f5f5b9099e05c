"""The record that every data module yields: one clip, its frames and, where annotated, its masks and boxes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datamodules.readers import FrameSource, Pixels, resize_mask

Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the original frame, on pixel edges."""


@dataclass(frozen=True)
class Clip:
    """One clip, not read yet.

    Attributes:
        name: Name that appears in every output; unique within a data module. A slash in it is a folder of the user's.
        source: Its frames.
        masks: Original frame number -> function that reads the mask, bool (H, W); frames not listed have none.
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
    def kept(self) -> Hashable:
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
class ClipFrames:
    """The frames of one clip in memory.

    Attributes:
        name: Name of the clip.
        images: RGB, uint8, (N, h, w, 3), at the working size.
        indices: Original frame numbers, int64, (N,).
    """

    name: str
    images: Pixels
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class ClipMasks:
    """The masks of one clip in memory, aligned with its frames.

    Attributes:
        packed: Masks at the evaluation size, eight pixels to a byte, uint8, (N, ceil(H * W / 8)).
        annotated: Whether the frame has a mask, bool, (N,).
        size: Evaluation size (height, width) in pixels.
    """

    packed: Pixels
    annotated: NDArray[np.bool_]
    size: tuple[int, int]

    def __getitem__(self, position: int) -> Mask:
        """Mask at a position, bool (H, W); all False where the frame is not annotated."""
        height, width = self.size
        return np.unpackbits(self.packed[position], count=height * width).reshape(height, width).astype(bool)


def read_frames(clip: Clip, size: tuple[int, int], tick: Callable[[], object] | None = None) -> ClipFrames:
    """Read all kept frames of a clip at the working size.

    Args:
        clip: The clip.
        size: Working size (height, width) in pixels.
        tick: Called after every frame, for a progress bar.

    Returns:
        The frames.

    Raises:
        ValueError: If a frame cannot be read or none is kept.
    """
    images: list[Pixels] = []
    indices: list[int] = []
    for index, image in clip.source.frames(size, clip.keeps):
        images.append(image)
        indices.append(index)
        if tick is not None:
            tick()
    if not images:
        raise ValueError(
            f"None of the frames that clip '{clip.name}' should keep exists: number its annotations after its frames "
            "(frames of a video are counted from 0)."
        )
    return ClipFrames(clip.name, np.stack(images), np.asarray(indices, dtype=np.int64))


def read_masks(
    clip: Clip, indices: NDArray[np.int64], size: tuple[int, int], tick: Callable[[], object] | None = None
) -> ClipMasks:
    """Read the masks of a clip at the evaluation size.

    Args:
        clip: The clip.
        indices: Original numbers of the frames in memory, (N,).
        size: Evaluation size (height, width) in pixels.
        tick: Called after every mask, for a progress bar.

    Returns:
        The masks, aligned with ``indices``.

    Raises:
        ValueError: If a mask belongs to no frame or differs in size from the frames.
    """
    packed = np.zeros((len(indices), -(-size[0] * size[1] // 8)), dtype=np.uint8)
    annotated = np.zeros(len(indices), dtype=bool)
    _refuse_strays(clip.name, "mask", clip.masks, indices)
    frame_size = clip.source.original_size() if clip.masks else size
    for position, index in enumerate(indices.tolist()):
        if index in clip.masks:
            mask = clip.masks[index]()
            if mask.shape != frame_size:
                raise ValueError(
                    f"The mask of frame {index} of clip '{clip.name}' is {mask.shape[1]}x{mask.shape[0]} pixels, its "
                    f"frames are {frame_size[1]}x{frame_size[0]}: save the mask at the size of its frame."
                )
            packed[position] = np.packbits(resize_mask(mask, size))
            annotated[position] = True
            if tick is not None:
                tick()
    return ClipMasks(packed, annotated, size)


def read_boxes(
    clip: Clip, indices: NDArray[np.int64], tick: Callable[[], object] | None = None
) -> NDArray[np.float32]:
    """Read the boxes of a clip.

    Args:
        clip: The clip.
        indices: Original numbers of the frames in memory, (N,).
        tick: Called after every box, for a progress bar.

    Returns:
        Boxes aligned with ``indices``, (N, 4): (cx, cy, sx, sy), centre and half-extent in [-1, 1], x right, y down,
        ±1 on the outer pixel edges; NaN where the frame has none.

    Raises:
        ValueError: If a box belongs to no frame or does not lie in it.
    """
    boxes = np.full((len(indices), 4), np.nan, dtype=np.float32)
    if not clip.boxes:
        return boxes
    _refuse_strays(clip.name, "box", clip.boxes, indices)
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
        boxes[position] = ((x0 + x1) / width - 1, (y0 + y1) / height - 1, (x1 - x0) / width, (y1 - y0) / height)
    return boxes


def _refuse_strays(clip: str, what: str, annotated: Iterable[int], indices: NDArray[np.int64]) -> None:
    """Raise if an annotation belongs to no frame."""
    stray = sorted(set(annotated) - set(indices.tolist()))
    if stray:
        raise ValueError(
            f"Clip '{clip}' has a {what} for frame {stray[0]}, but no such frame: renumber it after its frame (frames "
            "of a video are counted from 0)."
        )
