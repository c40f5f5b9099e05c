"""The detector ``D``: one box and one probability per grid cell (Sec. 3, Fig. 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backdrop.ranges import at_least, positive, require
from backdrop.settings import Beginning
from lightning_modules.geometry import cell_centres, decode_boxes, live_cells
from lightning_modules.networks.backbone import ResNetTrunk, require_trunk

_STRIDE = 16


@dataclass(frozen=True)
class Proposals:
    """What ``D`` says of a batch: ``C = h * w`` candidate boxes and their probabilities.

    Attributes:
        probability: (B, C), sums to 1, exactly 0 on the outer ring.
        box: (B, C, 4), see :mod:`lightning_modules.geometry.boxes`.
        grid: (h, w).
        live: Which cells may be chosen, (C,), bool.
        features: What the trunk sees at each cell, (B, F, h, w).
    """

    probability: Tensor
    box: Tensor
    grid: tuple[int, int]
    live: Tensor
    features: Tensor

    def at(self, cell: Tensor) -> Tensor:
        """The boxes of chosen cells; cell (B,) or (B, K) -> (B, 4) or (B, K, 4)."""
        index = cell.reshape(cell.shape[0], -1, 1).expand(-1, -1, 4)
        return self.box.gather(1, index).reshape(*cell.shape, 4)

    def offset(self) -> Tensor:
        """How far the centre of each box lies from its cell's, x and y in cells, (B, C, 2)."""
        height, width = self.grid
        apart = self.box[..., :2] - cell_centres(self.grid, self.box.device)
        return apart * apart.new_tensor([width / 2, height / 2])

    def best(self) -> tuple[Tensor, Tensor]:
        """The most probable box and its probability: (B, 4), (B,). Inference uses this."""
        confidence, cell = self.probability.max(dim=1)
        return self.at(cell), confidence


@dataclass(frozen=True)
class DetectorSettings:
    """What ``D`` is; the defaults are the paper's.

    Args:
        backbone: torchvision ResNet name.
        width: Channels relative to the original; only 1.0 can take weights.
        weights: Name of torchvision weights, path to a state dict, or ``None``; see :class:`ResNetTrunk`.
        size: The frame is resized to this (height, width) first; 128x128 gives the paper's 8x8 grid.
        s_min: Smallest box, a fraction of the frame.
        s_max: Largest box, a fraction of the frame.
        max_offset: Largest offset of a box from its cell's centre, in cells.
        direct: Regress one box from the mean of all features instead (Fig. 3d): a grid of one cell, which is the whole
            frame and has probability 1. Its centre reaches all of the frame, whatever ``max_offset`` is.
    """

    backbone: str = "resnet18"
    width: float = 1.0
    weights: Beginning[str | None] = "IMAGENET1K_V1"
    size: tuple[int, int] = (128, 128)
    s_min: float = 0.2
    s_max: float = 0.8
    max_offset: float = 1.5
    direct: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_trunk(self.backbone, self.width, _STRIDE, self.weights)
        positive(self, size=self.size)
        holds = 0 < self.s_min < self.s_max <= 1
        expected = "0 < s_min < s_max <= 1 (fractions of the frame)"
        require(self, holds, "(s_min, s_max)", (self.s_min, self.s_max), expected)
        at_least(0, self, max_offset=self.max_offset)
        least = 2 * _STRIDE + 1  # a grid of 3x3, of which the outer ring is never chosen
        require(self, self.direct or min(self.size) >= least, "size", self.size, f"at least {least} pixels each way")

    @property
    def sizes(self) -> tuple[float, float]:
        """Smallest and largest box, fractions of the frame."""
        return self.s_min, self.s_max

    @property
    def live_cells(self) -> int:
        """How many cells may be chosen, C."""
        return 1 if self.direct else (-(-self.size[0] // _STRIDE) - 2) * (-(-self.size[1] // _STRIDE) - 2)


class Detector(nn.Module):
    """ResNet trunk of stride 16 and a 1x1 head of five channels: offset (2), size (2), logit (1).

    The head's weights are scaled by 0.01, so that ``p`` starts nearly uniform; its arithmetic is float32 even
    under autocast, since a bfloat16 box is half a pixel off.

    Args:
        settings: What it is.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self.settings = settings
        self.trunk = ResNetTrunk(settings.backbone, settings.width, _STRIDE, settings.weights)
        self.head = nn.Conv2d(self.trunk.channels, 4 if settings.direct else 5, 1)
        with torch.no_grad():
            self.head.weight.mul_(0.01)
            self.head.get_parameter("bias").zero_()

    def forward(self, image: Tensor) -> Proposals:
        """(B, 3, H, W) in [0, 1] -> one box and probability per cell."""
        settings = self.settings
        if image.shape[-2:] != tuple(settings.size):
            image = functional.interpolate(image, settings.size, mode="bilinear", antialias=True)
        features = self.trunk(image)
        if settings.direct:
            features = features.mean(dim=(2, 3), keepdim=True)
        with torch.autocast(image.device.type, enabled=False):
            raw = self.head(features.float())  # (B, 5, h, w)
            grid = (raw.shape[-2], raw.shape[-1])
            max_offset = 0.5 if settings.direct else settings.max_offset
            box = decode_boxes(raw[:, :4], settings.s_min, settings.s_max, max_offset)
            if settings.direct:
                one = raw.new_ones(raw.shape[0], 1)
                return Proposals(one, box, grid, one[0].bool(), features)
            live = live_cells(grid, raw.device)
            logit = raw[:, 4].flatten(1).masked_fill(~live, float("-inf"))
            return Proposals(logit.softmax(dim=1), box, grid, live, features)
