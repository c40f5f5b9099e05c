"""A small U-Net whose middle looks at several scales at once: the student of Unsup-DilateU-Net."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.networks.blocks import SkipDecoder, double_conv


class DilateUNet(nn.Module):
    """U-Net with parallel dilated convolutions at its bottleneck, concatenated and fused by a 1x1 convolution.

    Attributes:
        stride: Height and width of an image must be multiples of it.

    Args:
        width: Channels of the first level; each further one has twice as many.
        levels: Number of levels; the bottleneck has stride ``2 ** (levels - 1)``.
        rates: Dilations of the bottleneck's 3x3 convolutions.
    """

    def __init__(self, width: int = 16, levels: int = 4, rates: Sequence[int] = (1, 2, 4, 8)) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(levels)]
        deep = channels[-1]
        self.stride = 2 ** (levels - 1)
        self.down = nn.ModuleList(double_conv(a, b) for a, b in itertools.pairwise([3, *channels]))
        self.dilated = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(deep, deep, 3, padding=rate, dilation=rate, bias=False), nn.BatchNorm2d(deep), nn.ReLU()
            )
            for rate in rates
        )
        self.fuse = nn.Sequential(nn.Conv2d(deep * len(rates), deep, 1, bias=False), nn.BatchNorm2d(deep), nn.ReLU())
        self.up = SkipDecoder(channels, outputs=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> logits of the subject, (B, 1, H, W)."""
        features, pyramid = (image - 0.5) * 4, []
        for level, stage in enumerate(self.down):
            features = stage(functional.max_pool2d(features, 2) if level else features)
            pyramid.append(features)
        scales = torch.cat([branch(features) for branch in self.dilated], dim=1)
        logits: Tensor = self.up([*pyramid[:-1], self.fuse(scales)])
        return logits
