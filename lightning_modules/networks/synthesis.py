"""The synthesis network ``S``: a crop in, foreground and mask out, through a bottleneck (Sec. 3.1, Fig. 2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.networks.backbone import ResNetTrunk
from lightning_modules.networks.blocks import SkipDecoder, UpDecoder


class Synthesis(nn.Module):
    """Auto-encoder with a mask: the bottleneck can hold the subject, not the scene behind it.

    Encoder -> 728-d code in the paper: 600 values through two fully connected layers, and 128 that are tiled over the
    decoder's first map -> decoder of doubling stages -> foreground RGB and mask.

    Args:
        crop_size: (height, width) in pixels; a multiple of ``2 ** len(channels)``.
        backbone: torchvision ResNet name of the encoder.
        width: Channels of the encoder relative to the original.
        weights: See :class:`ResNetTrunk`.
        stride: Total stride of the encoder.
        code_size: Length of the fully connected part of the code.
        tiled_size: Length of the tiled part of the code.
        channels: Channels of the decoder's stages.
        mask_skips: Decode the mask in a U-Net branch of its own, over the encoder's maps, instead of from the code.
            Beyond the paper: the foreground keeps its bottleneck, the mask gets sharp long before the code does.

    Raises:
        ValueError: If the crop cannot be halved ``len(channels)`` times.
    """

    def __init__(
        self,
        crop_size: tuple[int, int] = (128, 128),
        backbone: str = "resnet50",
        width: float = 1.0,
        weights: str | None = None,
        stride: int = 32,
        code_size: int = 600,
        tiled_size: int = 128,
        channels: Sequence[int] = (256, 128, 64, 32),
        mask_skips: bool = False,
    ) -> None:
        super().__init__()
        factor = 2 ** len(channels)
        if crop_size[0] % factor or crop_size[1] % factor:
            raise ValueError(
                f"crop_size={tuple(crop_size)} must be a multiple of {factor} for {len(channels)} decoder stages."
            )
        self.seed_size = (crop_size[0] // factor, crop_size[1] // factor)
        self.encoder = ResNetTrunk(backbone, width, stride, weights)
        area = (crop_size[0] // stride) * (crop_size[1] // stride)
        self.code = nn.Linear(self.encoder.channels * area, code_size)
        self.tiled = nn.Linear(self.encoder.channels * area, tiled_size)
        self.seed_channels = channels[0]
        self.seed = nn.Linear(code_size, channels[0] * self.seed_size[0] * self.seed_size[1])
        self.decoder = UpDecoder(channels[0] + tiled_size, channels, outputs=3 if mask_skips else 4)
        self.mask_decoder = SkipDecoder(self.encoder.pyramid_channels, outputs=1) if mask_skips else None

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """Decode the subject inside a window.

        Args:
            window: (B, 3, h, w) in [0, 1], h x w the crop size.

        Returns:
            Foreground (B, 3, h, w) and mask (B, 1, h, w), both float32 in [0, 1].
        """
        pyramid = self.encoder.pyramid(window)
        features = pyramid[-1].flatten(1)
        seed = torch.relu(self.seed(torch.relu(self.code(features))))
        seed = seed.view(-1, self.seed_channels, *self.seed_size)
        tiled = self.tiled(features)[:, :, None, None].expand(-1, -1, *self.seed_size)
        output = self.decoder(torch.cat([seed, tiled], dim=1))
        if self.mask_decoder is not None:
            output = torch.cat([output, self.mask_decoder(pyramid)], dim=1)
        output = output.float().sigmoid()
        return output[:, :3], output[:, 3:]

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The trunk's parameters: the paper trains them, with ``D``, at the higher rate."""
        return list(self.encoder.parameters())

    def decoder_parameters(self) -> list[nn.Parameter]:
        """All other parameters: the paper trains them at the lower rate."""
        encoder = {id(p) for p in self.encoder.parameters()}
        return [p for p in self.parameters() if id(p) not in encoder]
