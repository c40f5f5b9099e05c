"""Scaling of 8-bit frames inside an exported graph, as :func:`datamodules.readers.resize` does it with OpenCV."""

from __future__ import annotations

import torch
from torch import Tensor

_FIXED = 2048  # OpenCV's unit of a weight between two pixels, 11 bits
_LEAST = 1000  # parts of a pixel: a smaller overlap does not count


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale frames to a fixed size: by area averaging where they shrink, else linearly.

    Args:
        image: RGB, (B, H, W, 3), uint8; H and W may be unknown until the graph runs.
        size: Output (height, width) in pixels.

    Returns:
        (B, 3, *size), float32, whole numbers from 0 to 255.
    """
    shrinks = (image.shape[1] >= size[0]) & (image.shape[2] >= size[1])
    found: Tensor = torch.cond(shrinks, lambda one: _by_area(one, size), lambda one: _linearly(one, size), (image,))
    return found


def _by_area(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The mean of the part of the frame that each pixel covers; see :func:`resized`."""
    (count, rows, columns), (height, width) = image.shape[:3], size
    row, share = _covered(rows, height, image.device)
    bands = image.flatten(2).index_select(1, row.flatten()).float().unflatten(1, row.shape)  # (B, h, taps, W * 3)
    turned = (share[:, None] @ bands).reshape(count * height, columns * 3).t()  # two axes alone turn fast
    column, share = _covered(columns, width, image.device)
    bands = turned.reshape(columns, 3 * count * height).index_select(0, column.flatten()).unflatten(0, column.shape)
    found = (share[:, None] @ bands).reshape(width, 3 * count * height).t()
    found = found.reshape(3, count, height, width).transpose(0, 1)
    half = (rows == 2 * height) & (columns == 2 * width)  # OpenCV rounds a half up there, else to even
    found = found * (height * width / (rows * columns)) + torch.scalar_tensor(half, dtype=torch.float32) / 8
    rounded: Tensor = found.round()
    return rounded.contiguous()


def _covered(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The pixels of a row that each pixel of a shorter row covers.

    Returns:
        Their numbers, (target, taps), and which share of each is covered, (target, taps).
    """
    taps = (source + target - 1) // target + 1
    place = torch.arange(target, device=device)[:, None] * source  # in parts of a pixel, as all that follows
    first = place.div(target, rounding_mode="trunc")
    pixel = (first + torch.arange(taps, device=device)) * target
    overlap = torch.minimum(pixel + target, place + source) - torch.maximum(pixel, place)
    share = (overlap * (overlap * _LEAST > target)).float() / target
    return (first + torch.arange(taps, device=device)).clamp(max=source - 1), share


def _linearly(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Between the two nearest pixels each way, in OpenCV's whole numbers; see :func:`resized`."""
    left, along = _between(image.shape[2], size[1], image.device)
    inside = (left >= 0) & (left < image.shape[2] - 1)  # at the border OpenCV takes the outermost column alone
    along = torch.where(inside, along, 0)
    first, second = (image.index_select(2, _within(left + n, image.shape[2])).int() for n in (0, 1))
    flat = first * _fixed(1 - along)[:, None] + second * _fixed(along)[:, None]  # (B, H, w, 3)
    top, down = _between(image.shape[1], size[0], image.device)
    total = torch.full((), 2, dtype=torch.int32, device=image.device)
    for n, share in ((0, 1 - down), (1, down)):
        part = (flat // 16).index_select(1, _within(top + n, image.shape[1]))
        total = total + part * _fixed(share)[:, None, None] // 65536
    return (total // 4).permute(0, 3, 1, 2).float().contiguous()


def enlarged(mask: Tensor, height: int, width: int) -> Tensor:
    """Scale masks linearly, as torch's ``interpolate`` with ``align_corners=False``; several times as fast in a graph.

    Args:
        mask: (B, h, w).
        height: Of the output, in pixels.
        width: Likewise.

    Returns:
        (B, height, width).
    """
    count, rows, columns = mask.shape
    number, share = _mixed(columns, width, mask.device)
    pairs = mask.reshape(count * rows, columns).t().index_select(0, number).unflatten(0, (width, 2))
    wide = (share @ pairs).reshape(width, count * rows).t().reshape(count, rows, width)
    number, share = _mixed(rows, height, mask.device)
    tall: Tensor = share @ wide.index_select(1, number).unflatten(1, (height, 2))
    return tall.reshape(count, height, width)


def _mixed(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The two pixels of a row between which each pixel of a longer row lies.

    Returns:
        Their numbers, (target * 2,), and the share of each, (target, 1, 2).
    """
    place = ((torch.arange(target, device=device, dtype=torch.float32) + 0.5) * (source / target) - 0.5).clamp(min=0)
    before = place.long()
    number = (before[:, None] + torch.arange(2, device=device)).clamp(max=source - 1)
    share = torch.stack([1 - (place - before), place - before], dim=1)
    return number.flatten(), share[:, None]


def _between(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the centres of a row's pixels lie in another row: the pixel before, and how far behind it."""
    place = (torch.arange(target, device=device, dtype=torch.float64) + 0.5) * source / target - 0.5
    before = place.float().floor()
    return before.long(), place.float() - before


def _within(number: Tensor, count: int) -> Tensor:
    return number.clamp(0, count - 1)


def _fixed(share: Tensor) -> Tensor:
    return (share * _FIXED).round().int()
