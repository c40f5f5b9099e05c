"""Convolution blocks shared by the inpainter and the synthesis network."""

from collections.abc import Sequence

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
        self.stages = nn.ModuleList(double_conv(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.head = nn.Conv2d(widths[-1], outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h * 2^n, w * 2^n) for n stages."""
        for stage in self.stages:
            features = stage(functional.interpolate(features, scale_factor=2.0, mode="bilinear"))
        output: Tensor = self.head(features)
        return output
