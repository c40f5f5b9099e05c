"""The record that every data module yields: one clip, its frames and, where annotated, its masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.readers import FrameSource, Pixels, resize_mask

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Clip:
    """One clip, not read yet.

    Attributes:
        name: Name that appears in every output; unique within a data module.
        source: Its frames.
        masks: Original frame number -> function that reads the mask, bool (H, W); frames not listed are not annotated.
        every_nth: Keep frames at positions 0, n, 2n, … and the annotated ones.
    """

    name: str
    source: FrameSource
    masks: Mapping[int, Callable[[], Mask]]
    every_nth: int = 1

    def __len__(self) -> int:
        """Expected number of frames."""
        return -(-len(self.source) // self.every_nth)


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
        ValueError: If a frame cannot be read.
    """
    images: list[Pixels] = []
    indices: list[int] = []
    for index, image in clip.source.frames(size, lambda at, number: at % clip.every_nth == 0 or number in clip.masks):
        images.append(image)
        indices.append(index)
        if tick is not None:
            tick()
    return ClipFrames(clip.name, np.stack(images), np.asarray(indices, dtype=np.int64))


def read_masks(clip: Clip, indices: NDArray[np.int64], size: tuple[int, int]) -> ClipMasks:
    """Read the masks of a clip at the evaluation size.

    Args:
        clip: The clip.
        indices: Original numbers of the frames in memory, (N,).
        size: Evaluation size (height, width) in pixels.

    Returns:
        The masks, aligned with ``indices``.

    Raises:
        ValueError: If a mask belongs to no frame or differs in size from the frames.
    """
    packed = np.zeros((len(indices), -(-size[0] * size[1] // 8)), dtype=np.uint8)
    annotated = np.zeros(len(indices), dtype=bool)
    stray = sorted(set(clip.masks) - set(indices.tolist()))
    if stray:
        raise ValueError(
            f"Clip '{clip.name}' has a mask for frame {stray[0]}, but its frames are numbered "
            f"{indices.min()} to {indices.max()}: rename the masks (frames of a video are counted from 0)."
        )
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
    return ClipMasks(packed, annotated, size)
