"""What a trained model says of the subjects of a frame, at the frame's own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from backdrop.boxes import to_corners
from backdrop.errors import RunError
from backdrop.found import Found, Pixels
from datamodules.readers import resize
from experiments.runs.folder import StageFolder
from experiments.runs.inference import SUFFIXES, read_checkpoint
from experiments.runs.restore import load_data, load_model, seeking, segment_folder


def load_predictor(
    path: Path, subjects: int = 1, checkpoint: Literal["last", "best"] | None = None, refine_at: float | None = None
) -> Predictor:
    """Load a trained run, on the GPU where there is one.

    Args:
        path: The run folder, a checkpoint file inside of one, or one that ``backdrop export`` has written.
        subjects: Most subjects to find in a frame.
        checkpoint: Which of the run's checkpoints; None takes the last. It says nothing of a file.
        refine_at: See :class:`Predictor`.

    Raises:
        RunError: If the run or its checkpoint is missing or damaged, or the number of subjects is out of range.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if path.is_file():
        if path.suffix in SUFFIXES and (exported := read_checkpoint(path)) is not None:
            model, working_size = exported
            return Predictor(seeking(model, subjects), working_size, device, refine_at)
        folder, name = StageFolder(path.resolve().parent.parent), path.stem
        if path.suffix != ".ckpt" or not folder.config_file.is_file():
            raise RunError(f"{path} is no run folder, no checkpoint inside of one, and no .onnx file.")
        stage = (folder.require_this_version().get("run") or {}).get("stage")
        if stage != "segment":
            what = f"{path} is of the stage {stage}, which finds no subject"
            raise RunError(f"{what}: take stage 2's, RUN/segment/checkpoints/{name}.ckpt.")
    else:
        folder, name = segment_folder(path), checkpoint or "last"
    size = load_data(folder.config()).working_size  # type: ignore[attr-defined]
    return Predictor(load_model(folder, name, subjects), size, device, refine_at)


class Predictor:
    """A trained model together with the size it works at: an :class:`~backdrop.found.Engine`.

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
        masks, boxes, confidences = masks.float().cpu(), boxes.cpu(), confidences.float().cpu()
        return [
            [
                self._found(masks[i, n], boxes[i, n], float(confidences[i, n]), scores[i], image)
                for n in confidences[i].nonzero().flatten().tolist()
            ]
            for i, image in enumerate(images)
        ]

    def _found(self, mask: Tensor, box: Tensor, confidence: float, score: float | None, image: Pixels) -> Found:
        """One subject of an image (H, W, 3), from its mask (h, w) and box (4,)."""
        found = _at_full_size(mask, box, confidence, score, image.shape)
        if self.refine_at is None:
            return found
        from datamodules.cues.refine import refine  # loads OR-tools, which nothing else here needs

        return replace(found, mask=refine(image, (mask >= self.refine_at).numpy()).astype(np.float32))


def _at_full_size(mask: Tensor, box: Tensor, confidence: float, score: float | None, size: tuple[int, ...]) -> Found:
    """Scale a mask (h, w) and a box (4,) to a frame of ``size`` (H, W, ...)."""
    height, width = size[:2]
    large = cv2.resize(mask.clamp(0, 1).numpy(), (width, height), interpolation=cv2.INTER_LINEAR)  # half-pixel centres
    x0, y0, x1, y1 = to_corners(box[None], (height, width))[0].tolist()
    return Found(large, (x0, y0, x1, y1), confidence, score)
