"""Stage 1: learn to inpaint a hidden region from its surroundings (Sec. 3.2; appendix A.1)."""

from collections.abc import Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from backdrop.contracts import Batch, StepOutput
from backdrop.ranges import at_least, require
from lightning_modules.building import keep_settings
from lightning_modules.geometry import box_mask, random_holes
from lightning_modules.losses import Reconstruction, ReconstructionLoss, squared_error
from lightning_modules.networks import Inpainter
from lightning_modules.schedule import ScheduleName, require_learning, scheduled

PAPER = (8, 16, 32, 64, 128, 256)
"""Channels of the paper's inpainter."""


class InpaintingModule(pl.LightningModule):
    """Hide a random rectangle of each frame and inpaint it.

    The pixel term is normalised by the hole's area; a small term keeps the visible part, which steadies training.
    The loss never sees a label.

    Args:
        channels: Channels of the U-Net's stages.
        hole_side: Smallest and largest side of a hole, fractions of the frame.
        visible_weight: Weight of the pixel error outside the hole.
        reconstruction: ``L``.
        learning_rate: Adam's.
        lr_schedule: ``constant`` (paper) or ``cosine``.
    """

    def __init__(
        self,
        channels: Sequence[int] = PAPER,
        hole_side: tuple[float, float] = (0.3, 0.5),
        visible_weight: float = 0.1,
        reconstruction: Reconstruction = Reconstruction(),
        learning_rate: float = 1e-3,
        lr_schedule: ScheduleName = "constant",
    ) -> None:
        super().__init__()
        low, high = hole_side
        expected = "0 < smallest <= largest <= 1 (fractions of the frame)"
        require(self, 0 < low <= high <= 1, "hole_side", hole_side, expected)
        at_least(0, self, visible_weight=visible_weight)
        require_learning(self, lr_schedule, learning_rate=learning_rate)
        self.save_hyperparameters()
        keep_settings(self)
        self.inpainter = Inpainter(channels).to(memory_format=torch.channels_last)
        self.reconstruction = ReconstructionLoss(reconstruction)
        self.hole_side, self.visible_weight = (low, high), visible_weight
        self.learning_rate, self.lr_schedule = learning_rate, lr_schedule

    def forward(self, image: Tensor, hole: Tensor) -> Tensor:
        """Inpaint the hole; (B, 3, H, W) in [0, 1] and (B, 1, H, W) -> (B, 3, H, W)."""
        composite: Tensor = self.inpainter(image, hole)
        return composite

    def training_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """One step on random holes."""
        return self._step(batch, "train", None)

    def validation_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """The same holes in every epoch, so that epochs can be compared."""
        return self._step(batch, "val", torch.Generator().manual_seed(batch_idx))

    def test_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """As in validation."""
        return self._step(batch, "test", torch.Generator().manual_seed(batch_idx))

    def _step(
        self, batch: Batch, stage: Literal["train", "val", "test"], generator: torch.Generator | None
    ) -> StepOutput:
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        size = (image.shape[-2], image.shape[-1])
        hole = box_mask(random_holes(len(image), self.hole_side, image.device, generator), size)  # (B, 1, H, W)
        painted = self.inpainter.predict(image, hole)
        composite = torch.lerp(image, painted, hole)  # B = I(x) * hole + x * (1 - hole)
        area = hole.mean(dim=(1, 2, 3)).clamp_min(1 / hole[0].numel())
        terms = {name: (value / area).mean() for name, value in self.reconstruction.terms(composite, image).items()}
        terms["visible"] = self.visible_weight * (squared_error(painted, image) * (1 - hole)).mean()
        loss = torch.stack(list(terms.values())).sum()
        logged = {f"{stage}/loss": loss} | {f"{stage}/loss_{name}": value for name, value in terms.items()}
        self.log_dict(logged, batch_size=len(image), sync_dist=stage != "train")
        return {"loss": loss, "composite": composite.detach(), "hole": hole}

    def configure_optimizers(self) -> Any:  # noqa: ANN401  Lightning's union
        """Adam, 1e-3 in the paper."""
        optimizer = torch.optim.Adam(self.inpainter.parameters(), lr=self.learning_rate)
        return scheduled(optimizer, self.lr_schedule, self.trainer.estimated_stepping_batches)
