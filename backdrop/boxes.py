"""The box convention and its conversions.

Convention: a box is ``(cx, cy, sx, sy)``, centre and half-extent in [-1, 1], x right, y down, ±1 on the outer pixel
edges of the frame (``align_corners=False``). So ``sx`` is also the box's width as a fraction of the frame's width.
Corners are ``(left, top, right, bottom)`` in pixels, from the frame's left and upper outer edge.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import clip_boxes_to_image


def to_corners(box: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes as corners in pixels, clipped to the frame.

    Args:
        box: (B, 4), see the convention above.
        size: The frame's (height, width) in pixels.

    Returns:
        (B, 4), float32: left, top, right, bottom; no gradient.
    """
    box = box.detach().float().nan_to_num()
    centre, extent = box[:, :2], box[:, 2:]
    frame = box.new_tensor([size[1], size[0]])
    corners = torch.cat([(centre - extent + 1) / 2 * frame, (centre + extent + 1) / 2 * frame], dim=1)
    clipped: Tensor = clip_boxes_to_image(corners, size)
    return clipped


def from_corners(
    corners: tuple[float, float, float, float], size: tuple[int, ...]
) -> tuple[float, float, float, float]:
    """One box from its corners in pixels.

    Args:
        corners: Left, top, right, bottom.
        size: The frame's (height, width) in pixels.

    Returns:
        (cx, cy, sx, sy), see the convention above.
    """
    left, top, right, bottom = corners
    height, width = size
    return (left + right) / width - 1, (top + bottom) / height - 1, (right - left) / width, (bottom - top) / height
