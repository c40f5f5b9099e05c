"""Convolutions with a quarter of the multiplications."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from datamodules.cues.winograd import LEAST, Winograd, fits


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 5), (3, 30)])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("bias", [True, False])
def test_it_gives_what_the_convolution_gives(height: int, width: int, padding: str, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(LEAST, 24, 3, padding=1, bias=bias, padding_mode=padding)
    maps = torch.randn(2, LEAST, height, width).contiguous(memory_format=torch.channels_last)
    expected = layer.double()(maps.double()).float()
    found = Winograd(layer.float())(maps)
    assert found.shape == expected.shape and found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * float(expected.detach().abs().max()))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(LEAST, 8, 3, padding=1), True),
        (nn.Conv2d(LEAST - 1, 8, 3, padding=1), False),
        (nn.Conv2d(LEAST, 8, 3, padding=1, stride=2), False),
        (nn.Conv2d(LEAST, 8, 3, padding=2, dilation=2), False),
        (nn.Conv2d(LEAST, 8, 3), False),
        (nn.Conv2d(LEAST, 8, 1), False),
        (nn.Conv2d(LEAST, LEAST, 3, padding=1, groups=2), False),
        (nn.ReLU(), False),
    ],
)
def test_only_layers_that_it_makes_faster_are_replaced(layer: nn.Module, expected: bool) -> None:
    assert fits(layer) is expected
