"""The background predictor ``I``: a U-Net that inpaints a hole from its surroundings (appendix A.1)."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from backdrop.ranges import positive, require
from lightning_modules.networks.blocks import double_conv


class Inpainter(nn.Module):
    """U-Net from (frame with the hole zeroed, hole) to the whole frame.

    The hole is a fourth input channel, so that black pixels and hidden pixels differ. Frames whose size is not a
    multiple of the total stride are padded inside by repeating the border, and cut back.

    Attributes:
        channels: What was given.

    Args:
        channels: One entry per stage; the paper's profile is ``(8, 16, 32, 64, 128, 256)``.

    Raises:
        ValueError: If there are fewer than two stages, or one without channels.
    """

    def __init__(self, channels: Sequence[int] = (8, 16, 32, 64, 128, 256)) -> None:
        super().__init__()
        require(self, len(channels) > 1, "channels", list(channels), "at least two stages")
        positive(self, channels=channels)
        self.channels = list(channels)
        self.stride = 2 ** (len(channels) - 1)
        widths = [4, *channels]
        self.down = nn.ModuleList(double_conv(a, b) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(
            double_conv(deep + skip, skip) for deep, skip in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(channels[0], 3, 1)

    def forward(self, image: Tensor, hole: Tensor) -> Tensor:
        """The composite ``B = I(x) * hole + x * (1 - hole)``.

        Args:
            image: (B, 3, H, W) in [0, 1].
            hole: (B, 1, H, W), 1 where hidden.

        Returns:
            (B, 3, H, W), float32; equal to ``image`` outside the hole.
        """
        return torch.lerp(image.float(), self.predict(image, hole).float(), hole.float())

    def predict(self, image: Tensor, hole: Tensor) -> Tensor:
        """The network's whole output frame, in [0, 1]; what lies in the hole never reaches it.

        Args:
            image: (B, 3, H, W) in [0, 1].
            hole: (B, 1, H, W), 1 where hidden.

        Returns:
            (B, 3, H, W), float32.

        Raises:
            ValueError: If the sizes disagree.
        """
        if image.ndim != 4 or hole.shape != (image.shape[0], 1, *image.shape[2:]):
            raise ValueError(
                f"image {tuple(image.shape)} and hole {tuple(hole.shape)}: expected (B, 3, H, W) and (B, 1, H, W)."
            )
        height, width = image.shape[-2:]
        features = torch.cat([(image - 0.5) * (1 - hole) * 4, hole], dim=1)
        pad = (0, -width % self.stride, 0, -height % self.stride)
        if any(pad):
            features = functional.pad(features, pad, mode="replicate")
        skips = []
        for i, stage in enumerate(self.down):
            features = stage(functional.max_pool2d(features, 2) if i else features)
            skips.append(features)
        for stage, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            larger = functional.interpolate(features, scale_factor=2.0, mode="bilinear")
            features = stage(torch.cat([larger, skip], dim=1))
        painted: Tensor = self.head(features).float().sigmoid()
        return painted[..., :height, :width]
