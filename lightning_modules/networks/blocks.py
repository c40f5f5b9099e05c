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


class CodeDecoder(nn.Module):
    """From the encoder's last map through a short code back to a window (paper, Sec. 3.1; appendix, ``S``).

    Args:
        inputs: Values of the encoder's last map, all positions and channels.
        seed_size: (height, width) of the decoder's first map.
        code_size: Length of the part of the code that two fully connected layers turn into that map.
        tiled_size: Length of the part of the code that is tiled over it.
        channels: Channels of the decoder's stages.
        outputs: Channels of the window.
    """

    def __init__(
        self,
        inputs: int,
        seed_size: tuple[int, int],
        code_size: int,
        tiled_size: int,
        channels: Sequence[int],
        outputs: int,
    ) -> None:
        super().__init__()
        self.seed_size = (channels[0], *seed_size)
        self.code = nn.Linear(inputs, code_size)
        self.tiled = nn.Linear(inputs, tiled_size)
        self.seed = nn.Linear(code_size, channels[0] * seed_size[0] * seed_size[1])
        self.decoder = UpDecoder(channels[0] + tiled_size, channels, outputs)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """The last level, (B, channels, h, w) with ``inputs`` values -> (B, outputs, H, W)."""
        flat = pyramid[-1].flatten(1)
        seed = torch.relu(self.seed(torch.relu(self.code(flat)))).unflatten(1, self.seed_size)
        tiled = self.tiled(flat)[:, :, None, None].expand(-1, -1, *self.seed_size[1:])
        output: Tensor = self.decoder(torch.cat([seed, tiled], dim=1))
        return output


class SkipDecoder(nn.Module):
    """The second half of a U-Net with skips: from a pyramid of strides 1, 2, 4 … back to the image's size.

    Args:
        channels: Channels of the pyramid's levels, from fine to coarse.
        outputs: Channels of the final 1x1 convolution.
        least: Least channels of a stage; the image itself, the finest level, has but three.
    """

    def __init__(self, channels: Sequence[int], outputs: int, least: int = 16) -> None:
        super().__init__()
        widths = [max(level, least) for level in channels[:-1]] + [channels[-1]]
        self.stages = nn.ModuleList(
            double_conv(deep + skip, wide)
            for deep, skip, wide in zip(widths[:0:-1], channels[-2::-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Levels from fine to coarse -> (B, outputs, H, W)."""
        features = pyramid[-1]
        for stage, skip in zip(self.stages, pyramid[-2::-1], strict=True):
            larger = functional.interpolate(features, size=skip.shape[-2:], mode="bilinear")
            if larger.requires_grad and not torch.compiler.is_compiling():
                # its gradient is a slice of another, with which the backward pass is slower
                larger.register_hook(_channels_last)
            features = stage(torch.cat([larger, skip], dim=1))
        output: Tensor = self.head(features)
        return output


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)
