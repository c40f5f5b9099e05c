"""The whole way of a prediction as one graph: frames of any size in, full-size masks and boxes out."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from experiments.export.resizing import enlarged, resized

NAMES = ("mask", "box", "confidence", "score")
"""What a graph can put out, in this order; a score only where the run is calibrated."""


class Graph(nn.Module):
    """A trained model between the frames of a user and what is found in them, at their own size.

    Args:
        model: The segmentation model, which seeks one subject.
        working_size: (height, width) in pixels of the images that it was trained on.

    Attributes:
        names: What it puts out, in order.
    """

    def __init__(self, model: pl.LightningModule, working_size: tuple[int, int]) -> None:
        super().__init__()
        self.model, self.working_size = model.eval(), working_size
        with torch.no_grad():
            found: dict[str, Any] = dict(model.predict_step({"image": torch.zeros(1, 3, *working_size)}, 0))
        self.names = tuple(name for name in NAMES if name in found)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Find the subject of each frame.

        Args:
            image: RGB, (B, H, W, 3), uint8.

        Returns:
            Those of :data:`NAMES` that the model knows: soft masks, (B, H, W), in [0, 1]; boxes as (x0, y0, x1, y1) in
            pixels of the frame, clipped to it, (B, 4); confidence and score in [0, 1], (B,). All float32.
        """
        height, width = image.shape[1], image.shape[2]
        output: dict[str, Any] = dict(self.model.predict_step({"image": resized(image, self.working_size) / 255}, 0))
        mask = enlarged(output["mask"][:, 0].float().clamp(0, 1), height, width)
        output |= {"mask": mask, "box": _corners(output["box"].float(), height, width)}
        return tuple(output[name].float() for name in self.names)


def _corners(box: Tensor, height: int, width: int) -> Tensor:
    """:func:`backdrop.boxes.to_corners` for a size that is not known before the graph runs."""
    centre, extent = box.nan_to_num().split(2, dim=1)
    first, second = (centre - extent + 1) / 2, (centre + extent + 1) / 2
    sides = [
        (corner[:, axis] * side).clamp(0, side)
        for corner in (first, second)
        for axis, side in enumerate((width, height))
    ]
    return torch.stack(sides, dim=1)
