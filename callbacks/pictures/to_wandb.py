"""Sheets and frames for W&B, with masks and boxes as layers of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch.nn.functional as F
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from backdrop.boxes import to_corners
from callbacks.pictures.panels import Frame, to_bytes

MASK_LABELS = {0: "background", 1: "subject", 2: "unknown"}


def log_to_wandb(logger: WandbLogger, stage: str, picture: Tensor, frames: list[Frame]) -> None:
    """Send the sheet, and every frame with its masks and its box as W&B layers, without a step of its own.

    Args:
        logger: The trainer's W&B logger.
        stage: First part of the logged names, ``val`` or ``test``.
        picture: The sheet, (3, H, W), uint8.
        frames: The frames on it.
    """
    logger.log_image(f"{stage}/sheet", [Image.fromarray(picture.permute(1, 2, 0).numpy())])
    shown = [frame for frame in frames if "mask" in frame]
    if shown:
        logger.log_image(
            f"{stage}/masks",
            [Image.fromarray(to_bytes(frame["image"]).permute(1, 2, 0).numpy()) for frame in shown],
            caption=[f"{frame['clip']} {frame['index']}" for frame in shown],
            masks=[_wandb_masks(frame) for frame in shown],
            boxes=[_wandb_boxes(frame) for frame in shown],
        )


def _wandb_masks(frame: Frame) -> dict[str, Any]:
    """Give the binary masks of a frame, at its own size, in the form that ``wandb.Image`` takes."""
    size = frame["image"].shape[1:]
    found = {"prediction": F.interpolate(frame["mask"][None], size, mode="bilinear", align_corners=False)[0, 0]}
    if "truth" in frame:
        found["ground_truth"] = F.interpolate(frame["truth"][None], size, mode="nearest-exact")[0, 0]
    classes = {name: (mask >= 0.5).numpy().astype(np.uint8) for name, mask in found.items()}
    if "known" in frame:
        known = F.interpolate(frame["known"][None], size, mode="nearest-exact")[0, 0]
        classes["ground_truth"][(known < 0.5).numpy()] = 2
    return {name: {"mask_data": mask, "class_labels": MASK_LABELS} for name, mask in classes.items()}


def _wandb_boxes(frame: Frame) -> dict[str, Any] | None:
    """Give the box of a frame in the form that ``wandb.Image`` takes: fractions of the frame."""
    box = frame.get("box")
    if box is None or not box.isfinite().all():
        return None
    left, top, right, bottom = to_corners(box[None], (1, 1))[0].tolist()  # fractions of the frame
    entry: dict[str, Any] = {
        "position": {"minX": left, "maxX": right, "minY": top, "maxY": bottom},
        "class_id": 1,
        "box_caption": "subject",
    }
    if "confidence" in frame:
        entry["scores"] = {"confidence": float(frame["confidence"])}
    return {"prediction": {"box_data": [entry], "class_labels": MASK_LABELS}}
