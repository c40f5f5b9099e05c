"""The masks and boxes of clips, read at the evaluation size; masks stay in memory, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backdrop.boxes import from_corners
from backdrop.progress import progress
from datamodules.clips.clip import Clip
from datamodules.clips.parts import frame_size
from datamodules.readers import resize_known, resize_objects

_MANY = 1000  # from here on reading takes long enough for a progress bar


@dataclass(frozen=True)
class ClipMasks:
    """The masks of one clip in memory, compressed, aligned with its frames.

    Attributes:
        packed: Masks at the evaluation size by position, eight pixels to a byte, compressed; annotated frames only.
        annotated: Whether the frame has a mask of which a pixel is known, bool, (N,).
        size: Evaluation size (height, width) in pixels.
        numbers: Numbers of the objects at the evaluation size by position, compressed; where masks tell them apart.
        unknown: Where the annotation does not say what is there, by position, packed and compressed as masks are; only
            of masks with such pixels.
        blank: Number of masks of which no pixel is known.
    """

    packed: Mapping[int, bytes]
    annotated: NDArray[np.bool_]
    size: tuple[int, int]
    numbers: Mapping[int, bytes] = field(default_factory=dict)
    unknown: Mapping[int, bytes] = field(default_factory=dict)
    blank: int = 0

    def objects(self, position: int) -> NDArray[np.uint8]:
        """Number of the object at each pixel, 0 = background, uint8 (H, W); 1 where the mask knows but one subject."""
        if position not in self.numbers:
            return self[position].astype(np.uint8)
        return np.frombuffer(zlib.decompress(self.numbers[position]), np.uint8).reshape(self.size).copy()

    def __getitem__(self, position: int) -> NDArray[np.bool_]:
        """Mask at a position, bool (H, W); all False where the frame is not annotated."""
        if not self.annotated[position]:
            return np.zeros(self.size, dtype=bool)
        return _unpacked(self.packed[position], self.size)

    def known(self, position: int) -> NDArray[np.bool_]:
        """Where the mask at a position says what is there, bool (H, W); nowhere if the frame is not annotated."""
        if position in self.unknown:
            return ~_unpacked(self.unknown[position], self.size)
        return np.full(self.size, bool(self.annotated[position]))


def _packed(mask: NDArray[np.bool_]) -> bytes:
    return zlib.compress(np.packbits(mask).tobytes(), level=1)


def _unpacked(packed: bytes, size: tuple[int, int]) -> NDArray[np.bool_]:
    height, width = size
    bits = np.frombuffer(zlib.decompress(packed), np.uint8)
    return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)


def read_masks(
    clip: Clip, frame_numbers: NDArray[np.int64], size: tuple[int, int], tick: Callable[[], object] | None = None
) -> ClipMasks:
    """Read the masks of a clip at the evaluation size.

    Args:
        clip: The clip.
        frame_numbers: Original numbers of the frames that could be read, (N,).
        size: Evaluation size (height, width) in pixels.
        tick: Called after every mask, for a progress bar.

    Returns:
        The masks, aligned with ``frame_numbers``; those of other frames are not read.

    Raises:
        ValueError: If a mask differs in size from the frames.
    """
    packed: dict[int, bytes] = {}
    numbers: dict[int, bytes] = {}
    unknown: dict[int, bytes] = {}
    blank = 0
    annotated = np.zeros(len(frame_numbers), dtype=bool)
    for position, frame_number in enumerate(frame_numbers.tolist()):
        if frame_number in clip.masks:
            mask = clip.masks[frame_number]()
            height, width = frame_size(clip.source, frame_number)
            if mask.shape != (height, width):
                raise ValueError(
                    f"The mask of frame {frame_number} of clip '{clip.name}' is {mask.shape[1]}x{mask.shape[0]} "
                    f"pixels, its frame is {width}x{height}: save the mask at the size of its frame."
                )
            if tick is not None:
                tick()
            values: NDArray[Any] = np.ma.filled(mask, 0)
            joined, known = resize_known(values > 0, ~np.ma.getmaskarray(mask), size)
            if not known.any():
                blank += 1
                continue
            packed[position] = _packed(joined)
            if values.dtype != np.bool_:
                numbers[position] = zlib.compress(resize_objects(values, joined).tobytes(), level=1)
            if not known.all():
                unknown[position] = _packed(~known)
            annotated[position] = True
    return ClipMasks(packed, annotated, size, numbers, unknown, blank)


def read_boxes(
    clip: Clip, frame_numbers: NDArray[np.int64], tick: Callable[[], object] | None = None
) -> NDArray[np.float32]:
    """Read the boxes of a clip.

    Args:
        clip: The clip.
        frame_numbers: Original numbers of the frames that could be read, (N,).
        tick: Called after every box, for a progress bar.

    Returns:
        Boxes aligned with ``frame_numbers``, (N, 4): (cx, cy, sx, sy), see :mod:`backdrop.boxes`; NaN where the frame
        has none.

    Raises:
        ValueError: If a box does not lie in its frame, or all boxes lie within one pixel, as shares of a frame do.
    """
    boxes = np.full((len(frame_numbers), 4), np.nan, dtype=np.float32)
    if not clip.boxes:
        return boxes
    corners = [box for box in clip.boxes.values() if not callable(box)]
    if corners and all(0 <= value <= 1 for box in corners for value in box):
        raise ValueError(
            f"All boxes of clip '{clip.name}' lie between 0 and 1, but are read as pixels: if they are shares of the "
            "frame, multiply x by its width and y by its height."
        )
    for position, frame_number in enumerate(frame_numbers.tolist()):
        given = clip.boxes.get(frame_number)
        box = given() if callable(given) else given
        if tick is not None and given is not None:
            tick()
        if box is None:
            continue
        height, width = frame_size(clip.source, frame_number)
        x0, y0, x1, y1 = box
        inside = -width <= x0 < x1 <= 2 * width and -height <= y0 < y1 <= 2 * height  # false for NaN and infinity
        if not (inside and x0 < width and y0 < height and x1 > 0 and y1 > 0):
            raise ValueError(
                f"The box of frame {frame_number} of clip '{clip.name}' is ({x0:g}, {y0:g}, {x1:g}, {y1:g}), expected "
                f"x0 < x1 and y0 < y1 within its {width}x{height} pixels: mend or remove it."
            )
        boxes[position] = from_corners((x0, y0, x1, y1), (height, width))
    return boxes


class Annotations:
    """The masks and boxes of the clips of one data module, each read once.

    Args:
        size: Evaluation size (height, width) in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._read: dict[Hashable, tuple[ClipMasks, NDArray[np.float32]]] = {}

    def masks(self, clip: Clip) -> ClipMasks:
        """The masks of a clip that was read."""
        return self._read[clip.kept][0]

    def boxes(self, clip: Clip) -> NDArray[np.float32]:
        """The boxes of a clip that was read; see :func:`read_boxes`."""
        return self._read[clip.kept][1]

    def read(self, clips: Iterable[tuple[Clip, NDArray[np.int64]]]) -> None:
        """Read the masks and boxes of clips, with a progress bar where there are many.

        Args:
            clips: Clips with the original numbers of their frames that could be read.

        Raises:
            ValueError: If a mask differs in size from the frames, or a box does not lie in its frame.
        """
        missing = {clip.kept: (clip, numbers) for clip, numbers in clips if clip.kept not in self._read}
        total = sum(len(clip.masks) + len(clip.boxes) for clip, _ in missing.values())
        with progress(total, "Reading annotations") if total >= _MANY else nullcontext(None) as tick:
            for kept, (clip, numbers) in missing.items():
                self._read[kept] = read_masks(clip, numbers, self.size, tick), read_boxes(clip, numbers, tick)
