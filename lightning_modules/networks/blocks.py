"""Convolution blocks shared by the inpainter and the synthesis network."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions with batch norm and ReLU, the size kept; (B, inputs, H, W) -> (B, outputs, H, W)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class UpDecoder(nn.Module):
    """The second half of a U-Net without skips: each stage doubles the size, then convolves (appendix, ``S``).

    Args:
        inputs: Channels of the incoming map.
        channels: Channels of each stage.
        outputs: Channels of the final 1x1 convolution.
    """

    def __init__(self, inputs: int, channels: Sequence[int], outputs: int) -> None:
        super().__init__()
        widths = [inputs, *channels]
        self.stages = nn.ModuleList(double_conv(a, b) for a, b in itertools.pairwise(widths))
        self.head = nn.Conv2d(widths[-1], outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h * 2^n, w * 2^n) for n stages."""
        for stage in self.stages:
            features = stage(functional.interpolate(features, scale_factor=2.0, mode="bilinear"))
        output: Tensor = self.head(features)
        return output


class SkipDecoder(nn.Module):
    """The second half of a U-Net with skips: from a pyramid of strides 2, 4, 8 … back to the image's size.

    Args:
        channels: Channels of the pyramid's levels, from fine to coarse.
        outputs: Channels of the final 1x1 convolution.
    """

    def __init__(self, channels: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            double_conv(deep + skip, skip) for deep, skip in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(channels[0], outputs, 1)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Levels of strides 2, 4, 8 … -> (B, outputs, H, W)."""
        features = pyramid[-1]
        for stage, skip in zip(self.stages, pyramid[-2::-1], strict=True):
            larger = functional.interpolate(features, size=skip.shape[-2:], mode="bilinear")
            features = stage(torch.cat([larger, skip], dim=1))
        output: Tensor = functional.interpolate(self.head(features), scale_factor=2.0, mode="bilinear")
        return output
