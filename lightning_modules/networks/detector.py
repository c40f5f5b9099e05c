"""The detector ``D``: one box and one probability per grid cell (Sec. 3, Fig. 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.geometry import decode_boxes, live_cells
from lightning_modules.networks.backbone import ResNetTrunk


@dataclass(frozen=True)
class Proposals:
    """What ``D`` says of a batch: ``C = h * w`` candidate boxes and their probabilities.

    Attributes:
        probability: (B, C), sums to 1, exactly 0 on the outer ring.
        box: (B, C, 4), see :mod:`lightning_modules.geometry.boxes`.
        grid: (h, w).
        live: Which cells may be chosen, (C,), bool.
    """

    probability: Tensor
    box: Tensor
    grid: tuple[int, int]
    live: Tensor

    def at(self, cell: Tensor) -> Tensor:
        """The boxes of chosen cells; cell (B,) or (B, K) -> (B, 4) or (B, K, 4)."""
        index = cell.reshape(len(cell), -1, 1).expand(-1, -1, 4)
        return self.box.gather(1, index).reshape(*cell.shape, 4)

    def best(self) -> tuple[Tensor, Tensor]:
        """The most probable box and its probability: (B, 4), (B,). Inference uses this."""
        confidence, cell = self.probability.max(dim=1)
        return self.at(cell), confidence


class Detector(nn.Module):
    """ResNet trunk of stride 16 and a 1x1 head of five channels: offset (2), size (2), logit (1).

    The head's weights are scaled by 0.01, so that ``p`` starts nearly uniform; its arithmetic is float32 even
    under autocast, since a bfloat16 box is half a pixel off.

    Args:
        backbone: torchvision ResNet name.
        width: Channels relative to the original.
        weights: See :class:`ResNetTrunk`.
        size: The frame is resized to this (height, width) first; 128x128 gives the paper's 8x8 grid.
        s_min: Smallest box, a fraction of the frame.
        s_max: Largest box, a fraction of the frame.
        max_offset: Largest offset of a box from its cell's centre, in cells (paper: 1.5).
        direct: Regress one box from the mean of all features instead (Fig. 3d): a grid of one cell, which is the whole
            frame and has probability 1. Its centre reaches all of the frame, whatever ``max_offset`` is.
    """

    def __init__(
        self,
        backbone: str = "resnet18",
        width: float = 1.0,
        weights: str | None = None,
        size: tuple[int, int] = (128, 128),
        s_min: float = 0.2,
        s_max: float = 0.8,
        max_offset: float = 1.5,
        direct: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.s_min, self.s_max, self.direct = size, s_min, s_max, direct
        self.max_offset = 0.5 if direct else max_offset
        self.trunk = ResNetTrunk(backbone, width, stride=16, weights=weights)
        self.head = nn.Conv2d(self.trunk.channels, 4 if direct else 5, 1)
        with torch.no_grad():
            self.head.weight.mul_(0.01)
            self.head.get_parameter("bias").zero_()

    def forward(self, image: Tensor) -> Proposals:
        """(B, 3, H, W) in [0, 1] -> one box and probability per cell."""
        if image.shape[-2:] != self.size:
            image = functional.interpolate(image, self.size, mode="bilinear", antialias=True)
        features = self.trunk(image)
        if self.direct:
            features = features.mean(dim=(2, 3), keepdim=True)
        with torch.autocast(image.device.type, enabled=False):
            raw = self.head(features.float())  # (B, 5, h, w)
            grid = (raw.shape[-2], raw.shape[-1])
            box = decode_boxes(raw[:, :4], self.s_min, self.s_max, self.max_offset)
            if self.direct:
                one = raw.new_ones(len(raw), 1)
                return Proposals(one, box, grid, one[0].bool())
            live = live_cells(grid, raw.device)
            logit = raw[:, 4].flatten(1).masked_fill(~live, float("-inf"))
            return Proposals(logit.softmax(dim=1), box, grid, live)
