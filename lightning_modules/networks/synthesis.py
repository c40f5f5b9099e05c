"""The synthesis network ``S``: a crop in, foreground and mask out, through a bottleneck (Sec. 3.1, Fig. 2)."""

from collections.abc import Sequence

from torch import Tensor, nn

from lightning_modules.networks.backbone import ResNetTrunk
from lightning_modules.networks.blocks import CodeDecoder, SkipDecoder


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
        code_size: Length of the fully connected part of the code; this and the next two play no part with ``skips``.
        tiled_size: Length of the tiled part of the code.
        channels: Channels of the decoder's stages.
        skips: Decode the mask over the encoder's maps, as a U-Net does, and take the window itself for the foreground.
            Beyond the paper: the code needs a long training before it can draw an unseen subject, and until then the
            mask opens only where a wrong colour still beats the background; and a foreground that is free, but has
            no bottleneck, exaggerates its colours so that a faint mask will do. With the window as foreground the
            mask opens where the background's error exceeds the cost of the mask prior.

    Raises:
        ValueError: If the crop does not fit the encoder's stride and the number of decoder stages.
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
        skips: bool = False,
    ) -> None:
        super().__init__()
        self.skips = skips
        self.encoder = ResNetTrunk(backbone, width, stride, weights)
        if skips:
            # the window itself is the finest level
            self.decoder: nn.Module = SkipDecoder([3, *self.encoder.pyramid_channels], outputs=1)
        else:
            factor = 2 ** len(channels)
            unit = max(factor, stride)
            if crop_size[0] % unit or crop_size[1] % unit:
                raise ValueError(
                    f"crop_size={tuple(crop_size)} must be a multiple of {unit} for {len(channels)} decoder stages and "
                    f"an encoder of stride {stride}."
                )
            bottleneck = (crop_size[0] // stride, crop_size[1] // stride)
            self.decoder = CodeDecoder(
                self.encoder.channels * bottleneck[0] * bottleneck[1],
                (crop_size[0] // factor, crop_size[1] // factor),
                code_size,
                tiled_size,
                channels,
                outputs=4,
            )

    def forward(self, window: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Decode the subject inside a window.

        Args:
            window: (B, 3, h, w) in [0, 1], h x w the crop size.
            seen: What is decoded, where that is not the window itself but, say, the window in other colours.

        Returns:
            Foreground (B, 3, h, w) and mask (B, 1, h, w), both float32 in [0, 1].
        """
        seen = window if seen is None else seen
        output = self.decoder([seen, *self.encoder.pyramid(seen)]).float().sigmoid()
        if self.skips:
            return window.float(), output
        return output[:, :3], output[:, 3:]

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The trunk's parameters: the paper trains them, with ``D``, at the higher rate."""
        return list(self.encoder.parameters())

    def decoder_parameters(self) -> list[nn.Parameter]:
        """All other parameters: the paper trains them at the lower rate."""
        encoder = {id(p) for p in self.encoder.parameters()}
        return [p for p in self.parameters() if id(p) not in encoder]
