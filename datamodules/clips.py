"""The record that every data module yields: one clip, its frames and, where annotated, its masks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.readers import FrameSource, resize_mask

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

    def keeps(self, position: int, number: int) -> bool:
        """Whether the frame at a position, with an original number, is one of the kept ones."""
        return position % self.every_nth == 0 or number in self.masks


@dataclass(frozen=True)
class ClipMasks:
    """The masks of one clip in memory, compressed, aligned with its frames.

    Attributes:
        packed: Masks at the evaluation size by position, eight pixels to a byte, compressed; annotated frames only.
        annotated: Whether the frame has a mask, bool, (N,).
        size: Evaluation size (height, width) in pixels.
    """

    packed: Mapping[int, bytes]
    annotated: NDArray[np.bool_]
    size: tuple[int, int]

    def __getitem__(self, position: int) -> Mask:
        """Mask at a position, bool (H, W); all False where the frame is not annotated."""
        height, width = self.size
        if not self.annotated[position]:
            return np.zeros(self.size, dtype=bool)
        bits = np.frombuffer(zlib.decompress(self.packed[position]), np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)


def read_masks(
    clip: Clip, indices: NDArray[np.int64], size: tuple[int, int], left_out: Collection[int | None] = ()
) -> ClipMasks:
    """Read the masks of a clip at the evaluation size.

    Args:
        clip: The clip.
        indices: Original numbers of the frames that could be read, (N,).
        size: Evaluation size (height, width) in pixels.
        left_out: Original numbers of those that could not; their masks are left out too.

    Returns:
        The masks, aligned with ``indices``.

    Raises:
        ValueError: If a mask belongs to no frame or differs in size from the frames.
    """
    packed: dict[int, bytes] = {}
    annotated = np.zeros(len(indices), dtype=bool)
    stray = sorted(set(clip.masks) - set(indices.tolist()) - set(left_out))
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
            packed[position] = zlib.compress(np.packbits(resize_mask(mask, size)).tobytes(), level=1)
            annotated[position] = True
    return ClipMasks(packed, annotated, size)
