"""Matte videos: the masks of a clip as a video of black and white frames."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.readers import is_video, natural_key, open_frames
from datamodules.readers.masks import MIDDLE


def matte_videos(folder: Path) -> dict[str, Path]:
    """Videos below a folder of masks.

    Args:
        folder: The folder; it need not be there.

    Returns:
        Clip name -> video, in natural order.
    """
    paths = [Path(above, name) for above, _, names in os.walk(folder) for name in names]
    videos = sorted(filter(is_video, paths), key=natural_key)
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in videos}


class MatteVideo:
    """The masks of a clip as a video; it is decoded once, when the first mask is asked for.

    Args:
        path: The video; values above 127 are the subject.

    Raises:
        ValueError: If it is no readable video.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._source = path, open_frames(path)

    def __len__(self) -> int:
        """Number of masks."""
        return len(self._source)

    def reader(self, position: int) -> Callable[[], NDArray[np.bool_]]:
        """What reads one mask.

        Args:
            position: Of the frame, from 0.

        Returns:
            A function that returns the mask, bool (H, W), and raises ValueError where the video has no such frame.
        """
        return partial(self._mask, position)

    def _mask(self, position: int) -> NDArray[np.bool_]:
        if position not in self._packed:
            raise ValueError(f"Frame {position} of the matte video {self.path} cannot be decoded: make it anew.")
        height, width = self._source.original_size()
        bits = np.frombuffer(zlib.decompress(self._packed[position]), np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)

    @cached_property
    def _packed(self) -> dict[int, bytes]:
        """All masks, eight pixels to a byte, compressed."""
        frames = self._source.frames()
        return {n: zlib.compress(np.packbits(image.max(axis=2) > MIDDLE).tobytes(), level=1) for n, image in frames}
