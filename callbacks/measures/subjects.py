"""Measures of a frame with several subjects: which of them are found, and how well each (paper, Fig. 4)."""

from __future__ import annotations

import math

from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import box_iou

from callbacks.measures.boxes import HIT_IOU

SUBJECT_MEASURES = ("subject_j", "subject_recall", "count_accuracy", "subjects_found", "subjects_there")


def split_objects(objects: Tensor) -> Tensor:
    """Give every object of a frame a mask of its own.

    Args:
        objects: Number of the object at each pixel, 0 = background, (H, W), integer.

    Returns:
        (K, H, W), bool, in the order of the numbers.
    """
    numbers = objects.unique()
    masks: Tensor = objects == numbers[numbers > 0][:, None, None]
    return masks


def overlaps(prediction: Tensor, truth: Tensor) -> Tensor:
    """J of every pair of masks.

    Args:
        prediction: (N, H, W), bool.
        truth: (K, H, W), bool.

    Returns:
        (N, K), float64, in [0, 1].
    """
    ours, true = prediction.flatten(1).double(), truth.flatten(1).double()
    both = ours @ true.T
    return both / (ours.sum(1, keepdim=True) + true.sum(1)[None] - both).clamp(min=1)


def matched(quality: Tensor) -> Tensor:
    """The best one-to-one matching of predictions to objects (Hungarian method).

    Args:
        quality: What each pair is worth, (N, K), at least 0.

    Returns:
        What the partner of every object is worth, 0 for objects without one, (K,).
    """
    rows, columns = linear_sum_assignment(quality.cpu().numpy(), maximize=True)
    worth = quality.new_zeros(quality.shape[1])
    worth[columns] = quality[rows, columns]
    return worth


def frame_measures(masks: Tensor, boxes: Tensor, truth: Tensor, true_boxes: Tensor) -> list[float]:
    """The measures of one frame.

    Args:
        masks: What was found, (N, H, W), bool.
        boxes: Left, top, right, bottom in pixels, (N, 4).
        truth: What is there, (K, H, W), bool.
        true_boxes: (K, 4).

    Returns:
        In the order of :data:`SUBJECT_MEASURES`: mean J of the objects, each in the mask that is matched to it and 0 if
        there is none; share of the objects whose matched box has IoU > 0.5; whether as many were found as there are;
        how many were found; how many there are. The first two are NaN without any object.
    """
    found, there = len(masks), len(truth)
    counts = [float(found == there), float(found), float(there)]
    if not there:
        return [math.nan, math.nan, *counts]
    hits = (box_iou(boxes, true_boxes) > HIT_IOU).double()
    return [float(matched(overlaps(masks, truth)).mean()), float(matched(hits).mean()), *counts]
