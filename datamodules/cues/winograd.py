"""Convolutions of 3x3 with a quarter of the multiplications, for a network that only looks at frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 128
"""Channels that go into a convolution, at least: with fewer the transforms cost more than they save."""

_OUT, _IN = 4, 6  # pixels of a tile, each way, after and before the convolution
_INPUT = (
    (4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1),
)  # fmt: skip
_KERNEL = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))  # times 24
_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

SETTINGS = f"winograd {_OUT} {LEAST}"
"""Part of the identity of what is stored."""


class Winograd(nn.Module):
    """A convolution by the minimal filtering F(4x4, 3x3) of Lavin and Gray (2016).

    It gives what the convolution gives, but for rounding: they differ by about a hundred-thousandth of the largest
    value.

    Args:
        layer: The convolution, see :func:`fits`.
    """

    into: Tensor  # (36, 36): of a tile
    weight: Tensor  # (36, inputs, outputs)
    back: Tensor  # (16, 36)
    bias: Tensor

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.padding = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        kernel = layer.weight.detach().double().permute(2, 3, 1, 0)
        moved = (_both_ways(_KERNEL) / 24**2) @ kernel.reshape(9, -1)
        self.register_buffer("weight", moved.float().reshape(_IN**2, *kernel.shape[2:]))
        self.register_buffer("into", _both_ways(_INPUT).float())
        self.register_buffer("back", _both_ways(_OUTPUT).float())
        bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()
        self.register_buffer("bias", bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve maps; (B, inputs, h, w) -> (B, outputs, h, w), channels last."""
        count, inputs, height, width = maps.shape
        down, along = -(-height // _OUT), -(-width // _OUT)  # tiles
        padded = F.pad(maps, (1, 1, 1, 1), mode=self.padding)
        padded = F.pad(padded, (0, along * _OUT - width, 0, down * _OUT - height)).permute(0, 2, 3, 1).contiguous()
        of_frame, of_row = padded.stride(0), padded.stride(1)
        strides = (of_row, inputs, of_frame, _OUT * of_row, _OUT * inputs, 1)
        tiles = padded.as_strided((_IN, _IN, count, down, along, inputs), strides).reshape(_IN**2, -1)
        found = torch.bmm((self.into @ tiles).unflatten(1, (-1, inputs)), self.weight)
        pixels = (self.back @ found.flatten(1)).unflatten(0, (_OUT, _OUT)).unflatten(2, (count, down, along, -1))
        whole = pixels.permute(2, 3, 0, 4, 1, 5).reshape(count, down * _OUT, along * _OUT, -1)
        result: Tensor = whole[:, :height, :width] + self.bias
        return result.permute(0, 3, 1, 2)


def fits(layer: nn.Module) -> bool:
    """Whether a layer is a convolution that :class:`Winograd` computes, and faster.

    Args:
        layer: Any.
    """
    if not isinstance(layer, nn.Conv2d) or layer.in_channels < LEAST:
        return False
    given = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
    return given == ((3, 3), (1, 1), (1, 1), (1, 1), 1)


def _both_ways(rows: tuple[tuple[int, ...], ...]) -> Tensor:
    """The matrix that transforms columns and rows of flattened tiles, float64."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(matrix, matrix)
