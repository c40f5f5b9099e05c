"""The scene without its subject, one picture of a clip: the median of what each pixel shows outside of the masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backdrop.drawing import span
from backdrop.found import Pixels

_BYTES = 96 * 2**20
"""Memory for the frames that are kept."""

_FEWEST, _MOST = 7, 49
_SOFT = 0.2
"""Mask values from here on may be the subject."""

_GROWN = 0.015
"""Share of the frame's height by which masks are grown: shadows, blur and a border that is a little off."""

_ROWS = 16
_APART = 24
"""Grey levels between the quarters of what a pixel shows, from which on it does not show one scene."""


class Plate:
    """The background plate of a clip of any length, in bounded memory.

    Frames are kept evenly over what has been seen so far: every one at first, then every second, every fourth, ...
    """

    def __init__(self) -> None:
        self._frames = list[Pixels]()
        self._seen = list[NDArray[np.bool_]]()
        self._stride, self._count, self.other_sizes = 1, 0, 0

    def add(self, image: Pixels, mask: NDArray[np.float32]) -> None:
        """Look at the next frame; one of another size than the first is counted in ``other_sizes``, and left out.

        Args:
            image: RGB, (H, W, 3).
            mask: Its soft mask, (H, W).
        """
        if self._frames and image.shape != self._frames[0].shape:
            self.other_sizes += 1
            return
        if self._count % self._stride == 0:
            if len(self._frames) == min(_MOST, max(_FEWEST, _BYTES // image.nbytes)):
                del self._frames[1::2], self._seen[1::2]
                self._stride *= 2
            if self._count % self._stride == 0:
                self._frames.append(image)
                self._seen.append(~grown(mask >= _SOFT, max(1, round(_GROWN * image.shape[0]))))
        self._count += 1

    def finish(self) -> tuple[Pixels, float, float]:
        """The plate.

        Returns:
            RGBA, (H, W, 4): transparent black where no frame shows the scene; the share of the frame that is; and the
            share of what is seen that does not stay the same, which is large where the camera moves.

        Raises:
            ValueError: If there was no frame.
        """
        if not self._frames:
            raise ValueError("There is no frame to make a plate of.")
        height, width = self._frames[0].shape[:2]
        plate, restless = np.zeros((height, width, 4), dtype=np.uint8), 0
        for top in range(0, height, _ROWS):
            rows = slice(top, top + _ROWS)
            seen = np.stack([one[rows] for one in self._seen])  # (N, rows, W)
            values = np.stack([frame[rows] for frame in self._frames]).astype(np.int16)
            values[~seen] = 256  # after all that is seen
            values.sort(axis=0)
            count = seen.sum(axis=0)  # (rows, W)
            low, high, first, third = (
                np.take_along_axis(values, index.clip(0)[None, ..., None], axis=0)[0]
                for index in ((count - 1) // 2, count // 2, (count - 1) // 4, 3 * (count - 1) // 4)
            )
            known = count > 0
            plate[rows][known] = np.dstack([(low + high) // 2, np.full_like(low[..., :1], 255)])[known]
            restless += int(((third - first).max(axis=2)[known] >= _APART).sum())
        known_share = float((plate[..., 3] > 0).mean())
        return plate, 1 - known_share, restless / max(1, round(known_share * height * width))


def grown(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """A mask grown by a few pixels to all sides, corners too.

    Args:
        mask: Bool, (H, W).
        by: Pixels, at least 0.
    """
    found = np.zeros_like(mask)
    if (where := span(mask)) is None:
        return found
    rows, columns = (slice(max(0, part.start - by), part.stop + by) for part in where)
    part = mask[rows, columns]
    for axis in (0, 1):
        padded = np.pad(part, [(by + 1, by) if axis == way else (0, 0) for way in (0, 1)]).astype(np.int32)
        sums = padded.cumsum(axis=axis)
        length = part.shape[axis]
        part = sums.take(np.arange(2 * by + 1, 2 * by + 1 + length), axis) > sums.take(np.arange(length), axis)
    found[rows, columns] = part
    return found
