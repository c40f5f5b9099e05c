"""The spatial transformer ``T`` (crop), its inverse (paste) and the focal bump, in float32 or more.

Convention: boxes as in :mod:`lightning_modules.geometry.boxes`; ``align_corners=False`` throughout. Autocast is
switched off inside: a bfloat16 grid is up to a quarter of a pixel off at 64 pixels. float64 stays float64.
"""

import torch
from kornia.geometry.transform import invert_affine_transform, warp_affine
from torch import Tensor

from lightning_modules.geometry.boxes import require_boxes


def crop_matrix(box: Tensor, frame_size: tuple[int, int], crop_size: tuple[int, int]) -> Tensor:
    """Affine matrix from frame pixels to crop pixels, in Kornia's pixel-centre coordinates.

    Args:
        box: (B, 4).
        frame_size: (height, width) in pixels.
        crop_size: (height, width) in pixels.

    Returns:
        (B, 2, 3), at least float32, differentiable in ``box``.

    Raises:
        ValueError: If ``box`` is not (B, 4).
    """
    require_boxes(box)
    cx, cy, sx, sy = box.to(_precision(box)).unbind(-1)
    (frame_h, frame_w), (crop_h, crop_w) = frame_size, crop_size
    scale_x, scale_y = crop_w / (frame_w * sx), crop_h / (frame_h * sy)
    shift_x = ((1 / frame_w - 1 - cx) / sx + 1) * crop_w / 2 - 0.5
    shift_y = ((1 / frame_h - 1 - cy) / sy + 1) * crop_h / 2 - 0.5
    zero = torch.zeros_like(cx)
    rows = [torch.stack([scale_x, zero, shift_x], -1), torch.stack([zero, scale_y, shift_y], -1)]
    return torch.stack(rows, dim=1)


def crop(image: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut one window out of every frame, differentiably: ``T`` of Eq. (1).

    Args:
        image: Frames, (B, C, H, W).
        box: One window per frame, (B, 4).
        size: Output (height, width) in pixels.

    Returns:
        Windows, (B, C, *size), at least float32; zeros outside the frame.

    Raises:
        ValueError: If ``box`` is not (B, 4).
    """
    frame_size = (image.shape[-2], image.shape[-1])
    if torch.compiler.is_exporting():
        require_boxes(box)
        return _sampled(image, box[:, :2], box[:, 2:], size)
    with torch.autocast(image.device.type, enabled=False):
        dtype = _precision(image, box)
        return warp_affine(image.to(dtype), crop_matrix(box.to(dtype), frame_size, size), size, align_corners=False)


def paste(window: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    """Put a window back into an empty frame, differentiably: ``T^-1`` of Eq. (1).

    Args:
        window: Windows, (B, C, h, w).
        box: Where each belongs, (B, 4).
        size: Frame (height, width) in pixels.

    Returns:
        Frames, (B, C, *size), at least float32; zeros outside the box.

    Raises:
        ValueError: If ``box`` is not (B, 4).
    """
    window_size = (window.shape[-2], window.shape[-1])
    if torch.compiler.is_exporting():
        require_boxes(box)
        return _sampled(window, -box[:, :2] / box[:, 2:], 1 / box[:, 2:], size)
    with torch.autocast(window.device.type, enabled=False):
        dtype = _precision(window, box)
        matrix = invert_affine_transform(crop_matrix(box.to(dtype), size, window_size))
        return warp_affine(window.to(dtype), matrix, size, align_corners=False)


def _sampled(image: Tensor, centre: Tensor, extent: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample bilinearly on an upright grid, by two products of matrices.

    An exported graph does it so, to the same values up to rounding: Kornia inverts matrices, which ONNX cannot.

    Args:
        image: (B, C, H, W); zeros outside.
        centre: Of the grid in the image, x and y in [-1, 1], (B, 2).
        extent: Half the width and height of the grid, likewise.
        size: Output (height, width) in pixels.
    """

    def weights(axis: int, source: int, target: int) -> Tensor:
        step = (torch.arange(target, device=image.device, dtype=torch.float32) + 0.5) * 2 / target - 1
        place = (centre[:, axis, None] + extent[:, axis, None] * step + 1) * source / 2 - 0.5
        apart = place[:, :, None] - torch.arange(source, device=image.device, dtype=torch.float32)
        return (1 - apart.abs()).clamp(min=0)[:, None]  # (B, 1, target, source)

    down, along = weights(1, image.shape[-2], size[0]), weights(0, image.shape[-1], size[1])
    picture, across = image.float(), along.transpose(-1, -2)
    (high, wide), (tall, broad) = image.shape[-2:], size
    # the order of fewer products: a crop first loses its columns, a paste first gets its rows
    if broad * high * (wide + tall) < tall * wide * (high + broad):
        return down @ (picture @ across)
    return down @ picture @ across


def _precision(*tensors: Tensor) -> torch.dtype:
    """float32, or float64 where a tensor is."""
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32


def focal_bump(size: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """The focal spatial transformer's window: 1 at the centre, falling smoothly to 0 at the border.

    ``exp(1 - 1 / (1 - sqrt(x^4 + y^4)))`` where the root is below 1, else 0, on [-1, 1]^2 (Sec. 3.2, "FST").

    Args:
        size: (height, width) in pixels.
        device: Where to put it.

    Returns:
        (1, 1, height, width), float32, in [0, 1].
    """
    height, width = size
    y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * 2 / height - 1
    x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * 2 / width - 1
    radius = (x[None] ** 4 + y[:, None] ** 4).sqrt()
    inside = radius < 1
    bump = torch.where(inside, torch.exp(1 - 1 / (1 - radius.where(inside, torch.zeros_like(radius)))), 0.0)
    return bump[None, None]
