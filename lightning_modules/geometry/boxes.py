"""Boxes on the detector's grid: decoding, area, growing, rasterising.

Convention: a box is ``(cx, cy, sx, sy)``, centre and half-extent in [-1, 1], x right, y down, ±1 on the outer pixel
edges of the frame. So ``sx`` is also the box's width as a fraction of the frame's width.
"""

import torch
from torch import Tensor


def require_boxes(box: Tensor) -> None:
    """Refuse anything that is not a batch of boxes.

    Raises:
        ValueError: If ``box`` is not (B, 4).
    """
    if box.ndim != 2 or box.shape[-1] != 4:
        raise ValueError(f"box has shape {tuple(box.shape)}; expected (B, 4), each row (cx, cy, sx, sy) in [-1, 1].")


def cell_centres(grid: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Centres of the cells of an ``h x w`` grid over the frame, row by row.

    Returns:
        (h * w, 2), float32, x then y in [-1, 1].
    """
    height, width = grid
    y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * 2 / height - 1
    x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * 2 / width - 1
    return torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=-1)


def live_cells(grid: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Which cells may be chosen: all but the outer ring (36 of 64 on the paper's 8x8 grid).

    Returns:
        (h * w,), bool.

    Raises:
        ValueError: If the ring leaves no cell.
    """
    height, width = grid
    if height < 3 or width < 3:
        raise ValueError(f"a {height}x{width} grid has no cell inside its outer ring; use at least 3x3.")
    live = torch.zeros(height, width, dtype=torch.bool, device=device)
    live[1:-1, 1:-1] = True
    return live.flatten()


def decode_boxes(raw: Tensor, s_min: float = 0.2, s_max: float = 0.8, max_offset: float = 1.5) -> Tensor:
    """Turn the detector's raw maps into one box per cell (Sec. 3.2, implementation details).

    ``size = s_min + (s_max - s_min) * sigmoid(z_size)``; ``offset = tanh(z_offset) * max_offset * cell width``;
    the centre is clamped to the frame ("discard those outside the image").

    Args:
        raw: Offset x, offset y, size x, size y before their squashing, (B, 4, h, w), float32.
        s_min: Smallest size, a fraction of the frame's width or height, 0 < s_min < s_max <= 1.
        s_max: Largest size, likewise.
        max_offset: Largest offset of a centre from its cell's centre, in cells.

    Returns:
        One box per cell, (B, h * w, 4).

    Raises:
        ValueError: If ``raw`` has not four channels.
    """
    if raw.ndim != 4 or raw.shape[1] != 4:
        raise ValueError(f"raw boxes have shape {tuple(raw.shape)}; expected (B, 4, h, w).")
    height, width = raw.shape[-2:]
    offset, size = raw.flatten(2).transpose(1, 2).split(2, dim=-1)  # each (B, h * w, 2)
    cell_size = raw.new_tensor([2 / width, 2 / height])
    centre = cell_centres((height, width), raw.device) + offset.tanh() * max_offset * cell_size
    return torch.cat([centre.clamp(-1, 1), s_min + (s_max - s_min) * size.sigmoid()], dim=-1)


def box_area(box: Tensor) -> Tensor:
    """Area as a fraction of the frame, ``sx * sy``; (..., 4) -> (...)."""
    return box[..., 2] * box[..., 3]


def grow(box: Tensor, factor: float) -> Tensor:
    """Scale both sides about the centre; (..., 4) -> (..., 4)."""
    return torch.cat([box[..., :2], box[..., 2:] * factor], dim=-1)


def box_mask(box: Tensor, size: tuple[int, int]) -> Tensor:
    """Rasterise boxes: 1 where a pixel's centre lies inside (not differentiable).

    Args:
        box: (B, 4).
        size: Frame (height, width) in pixels.

    Returns:
        (B, 1, height, width), same dtype as ``box``.
    """
    require_boxes(box)
    height, width = size
    y = (torch.arange(height, device=box.device, dtype=box.dtype) + 0.5) * 2 / height - 1
    x = (torch.arange(width, device=box.device, dtype=box.dtype) + 0.5) * 2 / width - 1
    cx, cy, sx, sy = box.detach().unbind(-1)
    inside_x = (x[None] - cx[:, None]).abs() <= sx[:, None]  # (B, width)
    inside_y = (y[None] - cy[:, None]).abs() <= sy[:, None]  # (B, height)
    return (inside_y[:, None, :, None] & inside_x[:, None, None, :]).to(box.dtype)


def box_coverage(box: Tensor, size: tuple[int, int]) -> Tensor:
    """Share of each pixel that a box covers; its gradient is what the edges of the box sweep over.

    Args:
        box: (B, 4).
        size: Frame (height, width) in pixels.

    Returns:
        (B, 1, height, width) in [0, 1], same dtype as ``box``; its mean is the area inside the frame.
    """
    require_boxes(box)

    def along(centre: Tensor, half: Tensor, count: int) -> Tensor:
        edges = torch.linspace(-1, 1, count + 1, device=box.device, dtype=box.dtype)
        low, high = (centre - half)[:, None], (centre + half)[:, None]
        return (torch.minimum(edges[1:], high) - torch.maximum(edges[:-1], low)).clamp(min=0) * (count / 2)

    cx, cy, sx, sy = box.unbind(-1)
    return along(cy, sy, size[0])[:, None, :, None] * along(cx, sx, size[1])[:, None, None, :]


def inner_box(box: Tensor, window: Tensor) -> Tensor:
    """A box given in the coordinates of another box's window, in frame coordinates.

    Args:
        box: The window's place in the frame, (B, 4).
        window: Boxes in [-1, 1] of that window, (B, 4).

    Returns:
        (B, 4).
    """
    require_boxes(box)
    require_boxes(window)
    return torch.cat([box[:, :2] + box[:, 2:] * window[:, :2], box[:, 2:] * window[:, 2:]], dim=1)


def mask_extent(mask: Tensor, threshold: float = 0.5, outside: float = 0.01) -> tuple[Tensor, Tensor]:
    """Tight box of a mask, robust to specks (not differentiable).

    Args:
        mask: (B, 1, h, w) in [0, 1].
        threshold: Pixels at or above it count.
        outside: Share of the counted pixels that may lie beyond each of the four sides.

    Returns:
        Boxes in [-1, 1] of the mask's own frame, (B, 4), and which masks have any pixel at all, (B,); the box of an
        empty mask is the whole frame.
    """
    inside = (mask[:, 0] >= threshold).float()  # (B, h, w)
    found = inside.sum(dim=(1, 2)) > 0
    inside = torch.where(found[:, None, None], inside, 1.0)
    sides = []
    for marginal in (inside.sum(1), inside.sum(2)):  # over x, then over y
        share = marginal.cumsum(1) / marginal.sum(1, keepdim=True)
        first = (share <= outside).sum(1)  # pixels that lie wholly beyond the side
        last = marginal.shape[1] - (share < 1 - outside).sum(1) - 1
        sides.append((first / marginal.shape[1] * 2 - 1, 1 - last / marginal.shape[1] * 2))
    (x0, x1), (y0, y1) = sides
    return torch.stack([(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2], dim=1), found


def tighten(box: Tensor, window_mask: Tensor, outside: float = 0.0) -> tuple[Tensor, Tensor]:
    """The boxes shrunk to the extent of the masks in them (not differentiable).

    Args:
        box: (B, 4).
        window_mask: The mask in each box, (B, 1, h, w) in [0, 1].
        outside: See :func:`mask_extent`.

    Returns:
        Boxes in the frame, (B, 4), unchanged where the mask is empty; and which masks are not, (B,), bool.
    """
    extent, found = mask_extent(window_mask.detach(), outside=outside)
    return inner_box(box.detach(), extent), found
