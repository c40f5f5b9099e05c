"""What a trained model says of the subjects of a frame, at the frame's own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional

from backdrop.boxes import to_corners
from backdrop.found import Found, Pixels
from datamodules.readers import resize


class Predictor:
    """A trained model together with the size it works at.

    Args:
        model: The segmentation model.
        working_size: (height, width) in pixels of the images that it was trained on.
        device: Where to compute.
        refine_at: Cut the border of each mask again at the frame's own size, where the mask is at least this; the masks
            are then 0 or 1. None leaves them as they are.
    """

    def __init__(
        self,
        model: pl.LightningModule,
        working_size: tuple[int, int],
        device: torch.device,
        refine_at: float | None = None,
    ) -> None:
        self.model, self.working_size, self.device = model.to(device).eval(), working_size, device
        self.refine_at = refine_at

    @torch.inference_mode()
    def __call__(self, images: Sequence[Pixels]) -> list[list[Found]]:
        """Find the subjects in a few frames.

        Args:
            images: RGB, (H, W, 3) each, of any size.

        Returns:
            The subjects of each frame, the surest first, one at least.
        """
        small = np.stack([resize(image, self.working_size) for image in images])
        batch = torch.from_numpy(small).to(self.device).permute(0, 3, 1, 2).float() / 255  # (B, 3, h, w)
        output: dict[str, Any] = self.model.predict_step({"image": batch}, 0)
        if "subject_mask" in output:
            masks, boxes, confidences = (output[f"subject_{name}"] for name in ("mask", "box", "confidence"))
        else:
            masks, boxes, confidences = output["mask"], output["box"][:, None], output["confidence"][:, None]
        scores = output["score"].tolist() if "score" in output else [None] * len(images)
        return [
            [
                replace(self._found(masks[i, n], boxes[i, n], float(confidences[i, n]), image), score=scores[i])
                for n in confidences[i].nonzero().flatten().tolist()
            ]
            for i, image in enumerate(images)
        ]

    def _found(self, mask: Tensor, box: Tensor, confidence: float, image: Pixels) -> Found:
        """One subject of an image (H, W, 3), from its mask (h, w) and box (4,)."""
        found = _at_full_size(mask[None], box, confidence, image.shape[:2])
        if self.refine_at is None:
            return found
        from datamodules.cues.refine import refine  # loads OR-tools, which nothing else here needs

        return replace(found, mask=refine(image, (mask.float() >= self.refine_at).cpu().numpy()).astype(np.float32))


def _at_full_size(mask: Tensor, box: Tensor, confidence: float, size: tuple[int, ...]) -> Found:
    """Scale a mask (1, h, w) and a box (4,) to a frame of ``size`` (H, W)."""
    height, width = size
    large = functional.interpolate(mask[None].float(), (height, width), mode="bilinear", align_corners=False)
    x0, y0, x1, y1 = to_corners(box[None], (height, width))[0].tolist()
    return Found(large[0, 0].clamp(0, 1).cpu().numpy(), (x0, y0, x1, y1), confidence)
