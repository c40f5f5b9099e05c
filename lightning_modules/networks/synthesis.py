"""The synthesis network ``S``: a crop in, foreground and mask out (Sec. 3.1, Fig. 2)."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from lightning_modules.networks.backbone import ResNetTrunk
from lightning_modules.networks.blocks import CodeDecoder, SkipDecoder


class Synthesis(nn.Module, metaclass=ABCMeta):
    """An encoder, a ResNet trunk, and a decoder of its maps.

    Args:
        encoder: The trunk.
        decoder: From the pyramid of an image, the image first, to maps of its size.
    """

    def __init__(self, encoder: ResNetTrunk, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    @abstractmethod
    def forward(self, window: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Decode the subject inside a window.

        Args:
            window: (B, 3, h, w) in [0, 1], h x w the crop size.
            seen: What is decoded, where that is not the window itself but, say, the window in other colours.

        Returns:
            Foreground (B, 3, h, w) and mask (B, 1, h, w), both float32 in [0, 1].
        """

    def decoded(self, seen: Tensor) -> Tensor:
        """The decoder's maps of an image, in [0, 1], float32; (B, 3, h, w) -> (B, outputs, h, w)."""
        output: Tensor = self.decoder([seen, *self.encoder.pyramid(seen)])
        return output.float().sigmoid()

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The trunk's parameters: the paper trains them, with ``D``, at the higher rate."""
        return list(self.encoder.parameters())

    def decoder_parameters(self) -> list[nn.Parameter]:
        """All other parameters: the paper trains them at the lower rate."""
        return list(self.decoder.parameters())


class CodeSynthesis(Synthesis):
    """The paper's auto-encoder with a mask: the bottleneck can hold the subject, not the scene behind it.

    Encoder -> 728-d code in the paper: 600 values through two fully connected layers, and 128 that are tiled over the
    decoder's first map -> decoder of doubling stages -> foreground RGB and mask.

    Args:
        encoder: The trunk.
        crop_size: (height, width) in pixels; a multiple of the encoder's stride and of ``2 ** len(channels)``.
        stride: Total stride of the encoder.
        code_size: Length of the fully connected part of the code.
        tiled_size: Length of the tiled part of the code.
        channels: Channels of the decoder's stages.
    """

    def __init__(
        self,
        encoder: ResNetTrunk,
        crop_size: tuple[int, int] = (128, 128),
        stride: int = 32,
        code_size: int = 600,
        tiled_size: int = 128,
        channels: Sequence[int] = (256, 128, 64, 32),
    ) -> None:
        factor = 2 ** len(channels)
        inputs = encoder.channels * (crop_size[0] // stride) * (crop_size[1] // stride)
        seed_size = (crop_size[0] // factor, crop_size[1] // factor)
        super().__init__(encoder, CodeDecoder(inputs, seed_size, code_size, tiled_size, channels, outputs=4))

    def forward(self, window: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Synthesis.forward`; foreground and mask are both decoded."""
        output = self.decoded(window if seen is None else seen)
        return output[:, :3], output[:, 3:]


class WindowSynthesis(Synthesis):
    """The window itself is the foreground, and the mask is decoded over the encoder's maps, as in a U-Net.

    Beyond the paper: the code needs a long training before it can draw an unseen subject, and until then the mask opens
    only where a wrong colour still beats the background; and a foreground that is free, but has no bottleneck,
    exaggerates its colours so that a faint mask will do. With the window as foreground the mask opens where the
    background's error exceeds the cost of the mask prior.

    Args:
        encoder: The trunk.
    """

    def __init__(self, encoder: ResNetTrunk) -> None:
        # the window itself is the finest level
        super().__init__(encoder, SkipDecoder([3, *encoder.pyramid_channels], outputs=1))

    def forward(self, window: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See :meth:`Synthesis.forward`; only the mask is decoded."""
        return window.float(), self.decoded(window if seen is None else seen)
