"""What the cues of the clip have found, in place of the error against a predicted scene (beyond the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lightning_modules.geometry import box_mask, grow, mask_extent
from lightning_modules.losses import ReconstructionLoss, target_loss
from lightning_modules.scene import Scene, View, frame_size


@dataclass(frozen=True)
class Targets(Scene):
    """Targets of the data in both objectives, each pixel and frame by how far it is to be trusted.

    O is the distance of the mask from the target in the box, G the share of the target in the box, and a box fits the
    whole of the target. The inpainter is not asked: no objective depends on it.
    """

    needs: ClassVar[tuple[str, ...]] = ("target", "trust")
    needs_window: ClassVar[bool] = True
    asks_inpainter: ClassVar[bool] = False
    compares: ClassVar[bool] = False

    def fill(self, view: View, hole: Tensor) -> Tensor:
        """See :meth:`Scene.fill`: the frame itself, as nothing is predicted."""
        return view.image

    def loss(
        self, view: View, box: Tensor, composite: Tensor | None, mask: Tensor, reconstruction: ReconstructionLoss
    ) -> Tensor:
        """See :meth:`Scene.loss`: see :func:`~lightning_modules.losses.target_loss`, in the box."""
        weight = view.batch["trust"] * box_mask(box, frame_size(view))
        return reconstruction.pixel_weight * target_loss(mask, view.batch["target"], weight)

    @torch.no_grad()
    def error(self, view: View, box: Tensor, background: Tensor | None = None) -> Tensor:
        """See :meth:`Scene.error`: the target in the hole."""
        return (self.hole(view, box) * view.batch["target"] * view.batch["trust"]).mean(dim=(1, 2, 3))

    def swept_error(self, view: View, box: Tensor) -> Tensor:
        """See :meth:`Scene.swept_error`."""
        return (self._coverage(view, box) * view.batch["target"] * view.batch["trust"]).mean(dim=(1, 2, 3))

    def target(
        self, view: View, box: Tensor, window_mask: Tensor, margin: float, trim: float, sizes: tuple[float, float]
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`Scene.target`: around the target, wherever the box is; it counts by its trust."""
        extent, found = mask_extent(view.batch["target"], outside=trim)
        grown = grow(extent, margin)
        target = torch.cat([grown[:, :2], grown[:, 2:].clamp(*sizes)], dim=1)
        return target, found * view.batch["trust"].mean(dim=(1, 2, 3))
