"""What a homography leaves: near and far parts of the scene shift against each other when a camera walks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.readers import Pixels

_GRID = (9, 16)  # cells (rows, columns), the whole frame
_NEIGHBOURS = 5  # cells on a side over which the median is taken: a subject in fewer than half of them has no say
_SMALLEST = 48  # pixels; on smaller frames OpenCV's flow crashes, and a homography is as good
_FARTHEST = 0.04  # of the frame's width; more is a subject, or a mistake


def parallax(target: Pixels, registered: Pixels, seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Smooth displacement that is left between a frame and another that was registered to it by a homography.

    Dense flow (DIS, Kroeger et al. 2016), of which only medians are kept: of each cell of a coarse grid, then of the
    cells around it, as in MeshFlow (Liu et al. 2016). What moves by itself and is small does not change them.

    Args:
        target: Grey, uint8, (H, W).
        registered: Grey, uint8, (H, W).
        seen: Where ``registered`` shows anything, (H, W).

    Returns:
        A coarse grid over the frame, (rows, columns, 2), see :func:`enlarged`: the scene at (x, y) of ``target`` lies
        at (x, y) plus this (dx, dy) in ``registered``, in pixels.
    """
    height, width = target.shape
    if min(height, width) < _SMALLEST:
        return np.zeros((*_GRID, 2), dtype=np.float32)
    flow = np.asarray(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(target, registered, None))
    flow[~seen] = np.nan
    rows, columns = (max(1, side // cells) for side, cells in zip((height, width), _GRID, strict=True))
    cells = flow[: rows * (height // rows), : columns * (width // columns)]
    blocks = cells.reshape(height // rows, rows, width // columns, columns, 2).swapaxes(1, 2)
    blocks[np.isnan(blocks).all(axis=(2, 3, 4))] = 0  # a cell that is not seen at all
    medians = np.nanmedian(blocks, axis=(2, 3)).astype(np.float32)
    around = np.stack([cv2.medianBlur(medians[..., part].copy(), _NEIGHBOURS) for part in (0, 1)], axis=2)
    return np.asarray(np.clip(around, -_FARTHEST * width, _FARTHEST * width), dtype=np.float32)


def enlarged(grid: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """The displacement of every pixel.

    Args:
        grid: (rows, columns, 2), over the whole frame.
        size: (height, width) in pixels.

    Returns:
        (height, width, 2), in the units of the grid.
    """
    return np.asarray(cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
