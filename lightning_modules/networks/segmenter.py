"""The segmenter: crop, synthesise, paste back and compose (Sec. 3.1, Eq. 1)."""

from abc import ABCMeta, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from kornia.augmentation import ColorJiggle, RandomChannelShuffle, RandomInvert
from torch import Tensor, nn

from backdrop.ranges import positive, require
from backdrop.settings import Beginning
from lightning_modules.geometry import crop, focal_bump, paste
from lightning_modules.networks.backbone import ResNetTrunk, require_trunk
from lightning_modules.networks.synthesis import CodeSynthesis, Synthesis, WindowSynthesis


def compose(background: Tensor, foreground: Tensor, mask: Tensor) -> Tensor:
    """``F`` of Eq. (1): the foreground where the mask is, the background elsewhere.

    Args:
        background: ``B``, (B, 3, H, W).
        foreground: What ``S`` decodes, pasted into the frame, (B, 3, H, W).
        mask: ``M``, (B, 1, H, W).

    Returns:
        ``foreground * mask + background * (1 - mask)``, (B, 3, H, W).
    """
    return torch.lerp(background, foreground, mask)


class Segmenter(nn.Module):
    """``T``, ``S`` and ``T^-1`` of Eq. (1): a frame and a box in; mask and foreground in the frame out.

    Args:
        synthesis: ``S``.
        crop_size: (height, width) in pixels of the window that ``S`` sees.
        bump: What multiplies the window and the mask, (1, 1, h, w).
        recolour: What shows ``S`` the window in other colours while it is trained.
    """

    bump: Tensor

    def __init__(self, synthesis: Synthesis, crop_size: tuple[int, int], bump: Tensor, recolour: nn.Module) -> None:
        super().__init__()
        self.synthesis = synthesis
        self.crop_size = crop_size
        self.register_buffer("bump", bump, persistent=False)
        self.recolour = recolour

    def forward(
        self, image: Tensor, box: Tensor, mask_only: bool = False
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Segment what is in the box.

        Args:
            image: (B, 3, H, W) in [0, 1].
            box: (B, 4).
            mask_only: Leave the foreground where it is: to paste it costs three times what the mask costs.

        Returns:
            Mask (B, 1, H, W) and foreground (B, 3, H, W) in the frame, zero outside the box, and the mask in the
            window, (B, 1, h, w); all in [0, 1]. The foreground is None where only the mask was asked for.
        """
        window = crop(image, box, self.crop_size) * self.bump  # (B, 3, h, w)
        seen = self.recolour(window) if self.training else window
        foreground, mask = self.synthesis(window, seen.contiguous(memory_format=torch.channels_last))
        mask = mask * self.bump
        size = (image.shape[-2], image.shape[-1])
        if mask_only:
            return paste(mask, box, size), None, mask
        frame = paste(torch.cat([mask, foreground], 1), box, size)  # (B, 4, H, W)
        return frame[:, :1], frame[:, 1:], mask


@dataclass(frozen=True)
class SegmenterSettings(metaclass=ABCMeta):
    """What ``S`` is. A new kind of segmenter is a subclass.

    Args:
        crop_size: (height, width) in pixels of what ``S`` sees and returns.
        backbone: torchvision ResNet of the encoder.
        width: Channels of the encoder relative to the original; only 1.0 can take weights.
        weights: Name of torchvision weights, path to a state dict, or ``None``; see :class:`ResNetTrunk`.
        stride: Total stride of the encoder, 8, 16 or 32.
    """

    shows_window: ClassVar[bool] = False
    """Whether the foreground is the window itself."""

    crop_size: tuple[int, int] = (128, 128)
    backbone: str = "resnet50"
    width: float = 1.0
    weights: Beginning[str | None] = "IMAGENET1K_V1"
    stride: int = 32

    def __post_init__(self) -> None:
        """Check the ranges."""
        positive(self, crop_size=self.crop_size)
        require_trunk(self.backbone, self.width, self.stride, self.weights)

    @abstractmethod
    def build(self) -> Segmenter:
        """The network, with random weights but for those of the encoder."""

    def _encoder(self) -> ResNetTrunk:
        return ResNetTrunk(self.backbone, self.width, self.stride, self.weights)


@dataclass(frozen=True)
class CodeSegmenter(SegmenterSettings):
    """The paper's ``S``: foreground and mask are decoded from a short code; see :class:`CodeSynthesis`.

    Args:
        focal: Multiply the window and the mask by the focal bump (Sec. 3.2, "FST").
        decoder_channels: Channels of the decoder's stages.
        code_size: Length of the fully connected code.
        tiled_size: Length of the tiled code.
    """

    focal: bool = True
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32)
    code_size: int = 600
    tiled_size: int = 128

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        sizes = {"code_size": self.code_size, "tiled_size": self.tiled_size}
        positive(self, decoder_channels=self.decoder_channels, **sizes)
        stages = len(self.decoder_channels)
        unit = max(2**stages, self.stride)
        expected = f"a multiple of {unit}, for {stages} decoder stages and an encoder of stride {self.stride}"
        require(self, not any(side % unit for side in self.crop_size), "crop_size", self.crop_size, expected)

    def build(self) -> Segmenter:
        """See :meth:`SegmenterSettings.build`."""
        code = (self.crop_size, self.stride, self.code_size, self.tiled_size, self.decoder_channels)
        bump = focal_bump(self.crop_size) if self.focal else torch.ones(1, 1, *self.crop_size)
        return Segmenter(CodeSynthesis(self._encoder(), *code), self.crop_size, bump, nn.Identity())


@dataclass(frozen=True)
class WindowSegmenter(SegmenterSettings):
    """The window itself is the foreground (beyond the paper); see :class:`WindowSynthesis`.

    There is no focal bump, which would darken the window.

    Args:
        recolour: While training, decode the mask from the window in other colours, drawn per window. Where the subject
            happens to wear the colours of the scene the background is predicted well, and an ``S`` that sees colours
            learns to leave those parts out. One that cannot rely on them opens the mask where a shape is unpredictable
            in most colours, so arms in green sleeves belong to the subject on a meadow too.
    """

    shows_window: ClassVar[bool] = True

    recolour: bool = False

    def build(self) -> Segmenter:
        """See :meth:`SegmenterSettings.build`."""
        synthesis = WindowSynthesis(self._encoder())
        recolour = nn.Sequential(
            ColorJiggle(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.0, 2.0), hue=(-0.5, 0.5), p=0.9),
            RandomChannelShuffle(p=0.3),
            RandomInvert(p=0.3),
        ) if self.recolour else nn.Identity()  # fmt: skip
        return Segmenter(synthesis, self.crop_size, torch.ones(1, 1, *self.crop_size), recolour)
