"""The segmenter: crop, synthesise, paste back (Sec. 3.1, Eq. 1)."""

import torch
from kornia.augmentation import ColorJiggle, RandomChannelShuffle, RandomInvert
from torch import Tensor, nn

from lightning_modules.geometry import crop, focal_bump, paste
from lightning_modules.networks.synthesis import Synthesis


class Segmenter(nn.Module):
    """``T``, ``S`` and ``T^-1``: a frame and a box in; mask and foreground in the frame out.

    Args:
        synthesis: ``S``.
        crop_size: (height, width) in pixels of the window that ``S`` sees.
        focal: Multiply the window and the mask by the focal bump.
        recolour: While training, ``S`` decodes the mask from the window in other colours, drawn per window. Beyond the
            paper: where the subject happens to wear the colours of the scene the background is predicted well, and an
            ``S`` that sees colours learns to leave those parts out. One that cannot rely on them opens the mask where
            a shape is unpredictable in most colours, so arms in green sleeves belong to the subject on a meadow too.

    Raises:
        ValueError: If ``focal`` or ``recolour`` does not go with the kind of ``S``.
    """

    bump: Tensor

    def __init__(
        self, synthesis: Synthesis, crop_size: tuple[int, int], focal: bool = True, recolour: bool = False
    ) -> None:
        super().__init__()
        if synthesis.skips and focal:
            raise ValueError("skips and focal exclude each other: the window that skips show is darkened by the bump.")
        if recolour and not synthesis.skips:
            raise ValueError("recolour needs skips: a foreground decoded from other colours has the wrong ones.")
        self.synthesis = synthesis
        self.crop_size = crop_size
        self.register_buffer("bump", focal_bump(crop_size) if focal else torch.ones(1, 1, *crop_size), persistent=False)
        self.recolour = nn.Sequential(
            ColorJiggle(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.0, 2.0), hue=(-0.5, 0.5), p=0.9),
            RandomChannelShuffle(p=0.3),
            RandomInvert(p=0.3),
        ) if recolour else nn.Identity()  # fmt: skip

    def forward(self, image: Tensor, box: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Segment what is in the box.

        Args:
            image: (B, 3, H, W) in [0, 1].
            box: (B, 4).

        Returns:
            Mask (B, 1, H, W) and foreground (B, 3, H, W) in the frame, zero outside the box, and the mask in the
            window, (B, 1, h, w); all in [0, 1].
        """
        window = crop(image, box, self.crop_size) * self.bump  # (B, 3, h, w)
        seen = self.recolour(window) if self.training else window
        foreground, mask = self.synthesis(window, seen.contiguous(memory_format=torch.channels_last))
        mask = mask * self.bump
        frame = paste(torch.cat([mask, foreground], 1), box, (image.shape[-2], image.shape[-1]))  # (B, 4, H, W)
        return frame[:, :1], frame[:, 1:], mask
