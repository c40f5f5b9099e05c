"""How decoded frames are shown: upright, in RGB, by their colour matrix and the shape of their pixels."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import Colorspace, Interpolation

from datamodules.readers.side_data import display_matrix
from datamodules.readers.source import Pixels

_UNSAID = 2  # ITU-T H.273, matrix coefficients
_HD = (576, 1280)  # above this height or from this width on mpv and libplacebo take what says nothing for BT.709


def turned(frame: av.VideoFrame) -> bool:
    """Whether a frame is shown turned by a quarter, so that its width is its height."""
    return _quarter(axes(frame))


def taken_for_hd(frame: av.VideoFrame) -> bool:
    """Whether a frame does not say its colour matrix and is so large that players take it for that of HD, BT.709."""
    colours = len(frame.format.components) >= 3 and not frame.format.is_rgb
    large = frame.height > _HD[0] or frame.width >= _HD[1]
    return colours and large and frame.colorspace == _UNSAID


def shown_size(size: tuple[int, int], pixel_aspect: Fraction) -> tuple[int, int]:
    """(height, width) in square pixels at which frames are shown.

    Args:
        size: Their (height, width) in pixels.
        pixel_aspect: Width of a pixel over its height.
    """
    return size[0], round(size[1] * pixel_aspect)


def upright(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> Pixels:
    """One decoded frame as players show it.

    It goes to planes of RGB in one step: FFmpeg makes packed RGB of scaled frames by whole numbers, two grey levels too
    dark, and drops half of the colours' width.

    Args:
        frame: The frame, with the display matrix of its file (ISO/IEC 14496-12, 8.3.2).
        size: Output (height, width) in pixels, by area averaging; None keeps the original size.

    Returns:
        RGB, uint8, (H, W, 3), turned and mirrored by the nearest of the eight ways that keep pixels whole.
    """
    ways, stored = axes(frame), (frame.height, frame.width)
    wanted = stored if size is None else size[::-1] if _quarter(ways) else size
    return oriented(rgb(frame, wanted, Colorspace.ITU709 if taken_for_hd(frame) else None), ways)


def rgb(frame: av.VideoFrame, size: tuple[int, int], matrix: Colorspace | None = None) -> Pixels:
    """A decoded frame in RGB, as it is stored.

    Args:
        frame: The frame, of any format in colours.
        size: Output (height, width) in pixels, by area averaging.
        matrix: What its colour matrix is taken for; None takes what the frame says.

    Returns:
        RGB, uint8, (H, W, 3).
    """
    height, width = size
    same = size == (frame.height, frame.width)
    method = Interpolation.POINT | Interpolation.ACCURATE_RND if same else Interpolation.AREA
    planes = frame.reformat(width, height, "gbrp", matrix, interpolation=method, threads=1).planes
    green, blue, red = (_array(plane)[:, :width] for plane in planes)
    try:
        import cv2
    except ImportError:  # beside an exported model; the same, but slower
        return np.stack([red, green, blue], axis=-1)
    return np.asarray(cv2.merge([red, green, blue]), dtype=np.uint8)


def oriented(image: Pixels, ways: tuple[int, int, int, int]) -> Pixels:
    """Turn and mirror an image.

    Args:
        image: (H, W, 3).
        ways: The pixel at (x, y) is shown at x * (first, second) + y * (third, fourth).

    Returns:
        The image as it is shown, by the nearest of the eight ways that keep pixels whole.
    """
    x_of_x, y_of_x, x_of_y, y_of_y = ways
    if _quarter(ways):
        image, x_of_x, y_of_y = image.swapaxes(0, 1), x_of_y, y_of_x
    return np.ascontiguousarray(image[:: -1 if y_of_y < 0 else 1, :: -1 if x_of_x < 0 else 1])


def _quarter(ways: tuple[int, int, int, int]) -> bool:
    """Whether width becomes height."""
    return abs(ways[1]) + abs(ways[2]) > abs(ways[0]) + abs(ways[3])


def _array(plane: VideoPlane) -> Pixels:
    """The bytes of a plane, (H, bytes in a line)."""
    return np.frombuffer(cast(memoryview, plane), np.uint8).reshape(plane.height, -1)


def axes(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """The pixel at (x, y) is shown at x * (first, second) + y * (third, fourth)."""
    matrix = display_matrix(frame)
    if matrix is None:
        return 1, 0, 0, 1
    x_of_x, y_of_x, _, x_of_y, y_of_y = np.frombuffer(matrix, np.int32)[:5].tolist()
    return x_of_x, y_of_x, x_of_y, y_of_y
