"""Measures of boxes: whether one is right, whether a point is in one, and the average precision of many (Table 1)."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import box_iou, masks_to_boxes

HIT_IOU = 0.5
"""A box is right when its IoU with the true box is greater than this (paper, Table 1)."""


def tight_boxes(mask: Tensor) -> Tensor:
    """Find the tight box of every mask, up to the outer edges of its pixels.

    Args:
        mask: Masks, (B, 1, H, W), bool.

    Returns:
        Boxes as left, top, right, bottom in pixels, (B, 4), float32; NaN where the mask is empty.
    """
    box: Tensor = masks_to_boxes(mask[:, 0]).float()
    box[:, 2:] += 1  # masks_to_boxes gives the last pixel's index, the box ends at that pixel's far edge
    return box.masked_fill(~mask.flatten(1).any(1)[:, None], math.nan)


def box_overlaps(box: Tensor, truth: Tensor) -> Tensor:
    """Compute the intersection over union of each box with the true one.

    Args:
        box: Boxes as left, top, right, bottom, (N, 4).
        truth: True boxes, (N, 4); NaN where there is none.

    Returns:
        (N,), float32, in [0, 1]; NaN where there is no true box.
    """
    overlap = torch.zeros(len(box), device=box.device)
    for start in range(0, len(box), 1024):  # box_iou compares all with all: in pieces, so that many frames fit
        part = slice(start, start + 1024)
        overlap[part] = box_iou(box[part], truth[part]).diagonal()
    return overlap.masked_fill(truth.isnan().any(1), math.nan)


def box_hits(box: Tensor, truth: Tensor) -> Tensor:
    """Decide for every frame whether its box has IoU > 0.5 with the true one (paper, Table 1: "mAP@0.5").

    Args:
        box: Boxes as left, top, right, bottom, (N, 4).
        truth: True boxes, (N, 4); NaN where there is none.

    Returns:
        1 or 0, (N,), float64; NaN where there is no true box, so that the frame is left out of the mean.
    """
    return (box_overlaps(box, truth) > HIT_IOU).double().masked_fill(truth.isnan().any(1), math.nan)


def likeliest_centres(probability: Tensor) -> Tensor:
    """Find the centre of the detector's likeliest cell in every frame.

    Args:
        probability: Of each cell of a grid over the frame, (B, h, w).

    Returns:
        x then y in [-1, 1], (B, 2).
    """
    height, width = probability.shape[1:]
    cell = probability.flatten(1).argmax(1)
    x, y = cell % width, cell // width
    return torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=1)


def points_inside(point: Tensor, truth: Tensor) -> Tensor:
    """Decide for every frame whether a point lies in the true box, whose edges belong to it.

    Args:
        point: x then y in pixels, (N, 2); NaN where there is none.
        truth: True boxes as left, top, right, bottom in pixels, (N, 4); NaN where there is none.

    Returns:
        1 or 0, (N,), float64; NaN where there is no point or no true box, so that the frame is left out of the mean.
    """
    inside = (truth[:, :2] <= point).all(1) & (point <= truth[:, 2:]).all(1)
    return inside.double().masked_fill(point.isnan().any(1) | truth.isnan().any(1), math.nan)


def average_precision(box: Tensor, truth: Tensor, confidence: Tensor) -> float:
    """Compute the COCO average precision at IoU 0.5, frames ranked by confidence, one box a frame.

    Unlike in the hit rate, a box in a frame without subject counts: as a false alarm.

    Args:
        box: Boxes as left, top, right, bottom in pixels, (N, 4).
        truth: True boxes, (N, 4); NaN where there is none.
        confidence: Confidence of each box, (N,).

    Returns:
        Average precision in [0, 1]; NaN if no frame has a true box.
    """
    present = (~truth.isnan().any(1)).tolist()
    there = [truth[n : n + 1] if seen else truth[:0] for n, seen in enumerate(present)]
    return average_precision_of_several(list(box[:, None]), list(confidence[:, None]), there)


def average_precision_of_several(
    boxes: Sequence[Tensor], confidences: Sequence[Tensor], truths: Sequence[Tensor]
) -> float:
    """Compute the COCO average precision at IoU 0.5, any number of boxes a frame, with faster-coco-eval.

    Args:
        boxes: What was found in each frame as left, top, right, bottom in pixels, (N, 4) each.
        confidences: Of these boxes, (N,) each.
        truths: The true boxes of each frame, (K, 4) each.

    Returns:
        Average precision in [0, 1]; NaN if no frame has a true box, or that package is not installed.
    """
    if not any(len(truth) for truth in truths) or not importlib.util.find_spec("faster_coco_eval"):
        return math.nan
    # sync_on_compute=False: the boxes are gathered already, and torchmetrics fails where a process has none
    metric = MeanAveragePrecision(iou_thresholds=[0.5], backend="faster_coco_eval", sync_on_compute=False)
    metric.warn_on_many_detections = False
    metric.update(
        [
            {"boxes": box, "scores": score, "labels": torch.zeros(len(box), dtype=torch.long)}
            for box, score in zip(boxes, confidences, strict=True)
        ],
        [{"boxes": truth, "labels": torch.zeros(len(truth), dtype=torch.long)} for truth in truths],
    )
    return float(metric.compute()["map_50"])
