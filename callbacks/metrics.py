"""Mask and box measures: a functional core of pure functions, and one torchmetrics shell around it.

What is measured (paper, Sec. 4 and Tables 1 and 2; DAVIS for J and the boundary F): precision, recall and F of the
pixels, J (intersection over union), the boundary F, and the share of frames whose box is right. The mean runs over the
frames of a clip first, then over clips, so a long clip weighs no more than a short one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
import torch.distributed
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.detection import MeanAveragePrecision
from torchmetrics.utilities import dim_zero_cat
from torchvision.ops import box_iou, masks_to_boxes

from backdrop.boxes import to_corners

BOUNDARY_TOLERANCE = 0.008
"""Distance, as a share of the frame's diagonal, within which two boundary pixels match (DAVIS)."""

HIT_IOU = 0.5
"""A box is right when its IoU with the true box is greater than this (paper, Table 1)."""

PIXEL_MEASURES = ("precision", "recall", "f_measure", "j_mean")


def threshold_grid(step: float) -> list[float]:
    """List the thresholds that are tried: every multiple of ``step`` strictly between 0 and 1.

    Args:
        step: Distance between two thresholds, in (0, 0.5].

    Returns:
        Thresholds in ascending order; 0.05, 0.10, ... 0.95 for the paper's step of 0.05.

    Raises:
        ValueError: If ``step`` is outside (0, 0.5].
    """
    if not 0 < step <= 0.5:
        raise ValueError(f"grid_step is {step}; give a number in (0, 0.5], such as the paper's 0.05")
    return [round(k * step, 6) for k in range(1, math.ceil(round(1 / step, 6)))]


def threshold_counts(prediction: Tensor, truth: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count pixels at every threshold at once: one histogram pass instead of one comparison per threshold.

    A pixel is predicted when its value is at or above the threshold; a NaN pixel is never predicted.

    Args:
        prediction: Soft masks, (B, 1, H, W), in [0, 1].
        truth: True masks, (B, 1, H, W), bool.
        thresholds: The T thresholds in ascending order, (T,).

    Returns:
        Three int64 tensors: pixels predicted and true, (B, T); predicted, (B, T); true, (B, 1).
    """
    frames, levels = len(prediction), len(thresholds) + 1
    values = prediction.detach().float().nan_to_num(nan=-1.0).flatten(1)  # (B, H*W)
    bins = torch.bucketize(values, thresholds.to(values), right=True, out_int32=True)  # thresholds the pixel reaches
    bins += levels * truth.flatten(1).int()
    bins += 2 * levels * torch.arange(frames, dtype=torch.int32, device=bins.device)[:, None]
    histogram = torch.bincount(bins.flatten(), minlength=2 * levels * frames).view(frames, 2, levels)
    reached = histogram.flip(-1).cumsum(-1).flip(-1)  # (B, 2, T+1): pixels that reach at least k thresholds
    return reached[:, 1, 1:], reached[:, :, 1:].sum(1), reached[:, 1, :1]


def pixel_scores(both: Tensor, predicted: Tensor, actual: Tensor) -> Tensor:
    """Turn pixel counts into precision, recall, F and J (paper, Table 2).

    Empty masks: where prediction and truth are both empty, all four are 1; where just one of them is, all four are 0.

    Args:
        both: Pixels predicted and true, (B, T).
        predicted: Pixels predicted, (B, T).
        actual: True pixels, (B, 1).

    Returns:
        Precision, recall, F (their harmonic mean) and J (intersection over union) in this order, (B, 4, T), float64.
    """
    hit, found, wanted = both.double(), predicted.double(), actual.double().expand(both.shape)
    union = found + wanted - hit
    scores = torch.stack(
        [
            hit / found.clamp(min=1),
            hit / wanted.clamp(min=1),
            2 * hit / (found + wanted).clamp(min=1),  # 2PR / (P + R), without its division by zero
            hit / union.clamp(min=1),
        ],
        dim=1,
    )
    return torch.where((union == 0)[:, None], torch.ones_like(scores), scores)


def boundary_map(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the pixels that differ from their right, lower or lower right neighbour (DAVIS ``seg2bmap``).

    The frame's own edge is no boundary: a mask that fills the frame has none.

    Args:
        mask: Masks, (..., H, W).

    Returns:
        Boundary pixels, (..., H, W).
    """
    edge: NDArray[np.bool_] = np.zeros_like(mask)
    edge[..., :, :-1] |= mask[..., :, :-1] ^ mask[..., :, 1:]
    edge[..., :-1, :] |= mask[..., :-1, :] ^ mask[..., 1:, :]
    edge[..., :-1, :-1] |= mask[..., :-1, :-1] ^ mask[..., 1:, 1:]
    return edge


@lru_cache(maxsize=8)
def _disk(radius: int) -> NDArray[np.uint8]:
    """Build the structuring element x^2 + y^2 <= radius^2, (2r+1, 2r+1)."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk: NDArray[np.uint8] = (x * x + y * y <= radius * radius).astype(np.uint8)
    return disk


def boundary_scores(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute the DAVIS boundary F of one frame for several predictions of it.

    A boundary pixel matches when the other boundary comes within ceil(0.008 * diagonal) pixels of it; precision and
    recall are the shares of matched pixels, F their harmonic mean. Without any boundary on either side F is 1, with
    one on one side only it is 0.

    Args:
        prediction: Binary masks of one frame, (T, H, W), e.g. one soft mask at T thresholds.
        truth: The frame's true mask, (H, W).

    Returns:
        Boundary F, (T,), in [0, 1].
    """
    height, width = truth.shape
    disk = _disk(math.ceil(BOUNDARY_TOLERANCE * math.hypot(height, width)))
    true_edge = boundary_map(truth)
    near_truth = cv2.dilate(true_edge.view(np.uint8), disk).view(np.bool_)
    true_pixels = int(true_edge.sum())
    scores = np.zeros(len(prediction))
    for k, mask in enumerate(prediction):
        edge = boundary_map(mask)
        pixels = int(edge.sum())
        if not pixels or not true_pixels:
            scores[k] = float(pixels == true_pixels)
            continue
        near_edge = cv2.dilate(edge.view(np.uint8), disk).view(np.bool_)
        precision = (edge & near_truth).sum() / pixels
        recall = (true_edge & near_edge).sum() / true_pixels
        scores[k] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


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
    """Compute the COCO average precision at IoU 0.5, any number of boxes a frame.

    Args:
        boxes: What was found in each frame as left, top, right, bottom in pixels, (N, 4) each.
        confidences: Of these boxes, (N,) each.
        truths: The true boxes of each frame, (K, 4) each.

    Returns:
        Average precision in [0, 1]; NaN if no frame has a true box.
    """
    if not any(len(truth) for truth in truths):
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


def clip_key(name: str) -> int:
    """Hash a clip's name to 63 bits: the same in every process, of a fixed size, and so easy to gather."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


class FrameScores(Metric):
    """What measures that keep one row per frame share: the clips' names, and the sum of several measures.

    Args:
        **kwargs: Options of :class:`torchmetrics.Metric`.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        """Know no clip."""
        super().__init__(**kwargs)
        self.names: dict[int, str] = {}

    def reset(self) -> None:
        """Forget all frames."""
        super().reset()
        self.names = {}

    def frame_state(self) -> dict[str, Any]:
        """Every frame so far: the rows of each state, on the CPU, and the clips' ``names``."""
        return {"names": dict(self.names), **{name: join(getattr(self, name)) for name in self.metric_state}}

    def merge_frames(self, state: Mapping[str, Any]) -> None:
        """Add the frames that another measure has seen, as if this one had.

        Args:
            state: What :meth:`frame_state` of one with the same settings has returned.
        """
        for name in self.metric_state:
            getattr(self, name).append(state[name].to(self.device))
        self.names.update(state["names"])
        self._computed = None  # or the next result would be the last one

    def share_names(self) -> None:
        """Let every process know the clip names of all; every process has to call it, before ``compute``."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            tables: list[dict[int, str]] = [{}] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(tables, self.names)
            self.names = {key: name for table in tables for key, name in table.items()}

    def clip_name(self, key: int) -> str:
        """Name of the clip with a key, see :func:`clip_key`."""
        return self.names.get(key, f"clip-{key:016x}")


class SegmentationScores(FrameScores):
    """Measures of masks and boxes, per frame, then per clip, then over clips.

    One row per frame is kept and gathered, and a frame that was seen twice (clip and number are the same) counts once.
    So several processes give the same numbers as one even where a padded sampler repeats frames, and a process may
    hold no frame at all. Rows take about 0.8 kB a frame.

    ``compute`` returns plain Python floats: ``precision``, ``recall``, ``f_measure``, ``j_mean`` and, if asked for,
    ``boundary_f`` at the fixed threshold; ``best_...`` of each at ``best_threshold``, the grid threshold with the
    highest J over all clips (the lowest of equals); ``hit_rate`` and ``average_precision``, which do not depend on the
    threshold (``best_hit_rate`` is ``hit_rate``); ``frames``; ``masks``, the number of frames with a true mask, over
    which the measures of pixels run; ``clips``, the same by clip name, at the same two thresholds. Frames without
    subject are left out of the hit rate, and clips without any such frame of its mean; NaN says that nothing was left.
    Where no frame has a true mask, the measures of pixels and ``best_...`` are left out. The dict is empty when no
    frame was seen.

    Args:
        threshold: The fixed threshold, in (0, 1).
        grid_step: Distance of the thresholds among which the best is sought (the paper's is 0.05).
        boundary: Compute the boundary F too, at every threshold, so that its value at the best one is exact (about
            0.6 ms a frame and threshold at 384 x 512, on the CPU).
        ranking: Compute the average precision too.
        **kwargs: Options of :class:`torchmetrics.Metric`.

    Raises:
        ValueError: If ``threshold`` or ``grid_step`` is out of range.
    """

    full_state_update = False
    thresholds: Tensor
    keys: list[Tensor]  # (N, 2) int64: clip, frame number
    scores: list[Tensor]  # (N, 5, T) float64: precision, recall, F, J, boundary F
    boxes: list[Tensor]  # (N, 2, 4) float32: ours and the true one, left, top, right, bottom in pixels
    confidence: list[Tensor]  # (N,) float32

    def __init__(
        self,
        threshold: float = 0.5,
        grid_step: float = 0.05,
        boundary: bool = True,
        ranking: bool = True,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Set up the empty state."""
        super().__init__(**kwargs)
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}; give a number between 0 and 1, such as 0.5")
        grid = threshold_grid(grid_step)
        levels = sorted({*grid, round(threshold, 6)})
        self.levels = levels
        self.fixed = levels.index(round(threshold, 6))
        self.candidates = [levels.index(level) for level in grid]
        self.boundary = boundary
        self.ranking = ranking
        self.register_buffer("thresholds", torch.tensor(levels, dtype=torch.float32), persistent=False)
        for state in ("keys", "scores", "boxes", "confidence"):
            self.add_state(state, [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all frames; leave an empty tensor of the right shape, so that a process without frames can gather."""
        super().reset()
        self.keys = [torch.empty(0, 2, dtype=torch.int64, device=self.device)]
        self.scores = [torch.empty(0, 5, len(self.levels), dtype=torch.float64, device=self.device)]
        self.boxes = [torch.empty(0, 2, 4, device=self.device)]
        self.confidence = [torch.empty(0, device=self.device)]

    def update(
        self,
        prediction: Tensor,
        truth: Tensor,
        box: Tensor,
        confidence: Tensor,
        clip: Sequence[str],
        index: Tensor,
        annotated: Tensor | None = None,
        true_box: Tensor | None = None,
    ) -> None:
        """Add the frames of a batch.

        Args:
            prediction: Soft masks, (B, 1, H, W), in [0, 1]; resized bilinearly to the size of ``truth``.
            truth: True masks at the evaluation size, (B, 1, He, We), bool.
            box: Boxes (cx, cy, sx, sy) in [-1, 1], (B, 4).
            confidence: Confidence of each box, (B,).
            clip: Name of each frame's clip.
            index: Frame number in its clip, (B,), int64.
            annotated: Which frames have a true mask, (B,), bool; None means all.
            true_box: True boxes (cx, cy, sx, sy) in [-1, 1], (B, 4); where NaN, or without it, the tight box of the
                true mask serves.
        """
        size = (truth.shape[2], truth.shape[3])
        rows = torch.arange(len(truth), device=truth.device) if annotated is None else annotated.nonzero().flatten()
        scores = torch.full(
            (len(truth), 5, len(self.levels)), math.nan, dtype=torch.float64, device=prediction.device
        )
        if len(rows):
            scores[rows] = self._frame_scores(prediction[rows], truth[rows])
        boxes = tight_boxes(truth)
        if true_box is not None:
            given = ~true_box.isnan().any(1)
            boxes[given] = to_corners(true_box[given], size).to(boxes)
        keys = [clip_key(name) for name in clip]
        self.names.update(zip(keys, clip, strict=True))
        device = scores.device
        self.keys.append(torch.stack([torch.tensor(keys, dtype=torch.int64, device=device), index.to(device)], dim=1))
        self.scores.append(scores)
        self.boxes.append(torch.stack([to_corners(box, size), boxes], dim=1))
        self.confidence.append(confidence.detach().float())

    def _frame_scores(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """Precision, recall, F, J and boundary F of some frames with a true mask, (B, 5, T), float64."""
        size = (truth.shape[2], truth.shape[3])
        mask = prediction.detach().float()
        if mask.shape[2:] != truth.shape[2:]:
            mask = F.interpolate(mask, size, mode="bilinear", align_corners=False)  # (B, 1, He, We)
        pixels = pixel_scores(*threshold_counts(mask, truth, self.thresholds))  # (B, 4, T)
        edges = torch.full_like(pixels[:, :1], math.nan)  # (B, 1, T)
        if self.boundary:
            frames = mask[:, 0].cpu().numpy()
            truths = truth[:, 0].cpu().numpy()
            levels = self.thresholds.cpu().numpy()[:, None, None]
            for row, ours, true in zip(edges[:, 0], frames, truths, strict=True):
                row.copy_(torch.from_numpy(boundary_scores(ours[None] >= levels, true)))
        return torch.cat([pixels, edges], dim=1)

    def frames(self) -> list[dict[str, Any]]:
        """The measures of every frame at the fixed threshold, sorted by clip and number.

        Returns:
            Of each frame ``clip``, ``frame`` (its number), ``precision``, ``recall``, ``f_measure``, ``j`` and
            ``boundary_f`` (NaN where it has no true mask, or where that was not asked for), ``box_iou`` (NaN where
            it has no subject) and ``confidence``.
        """
        keys, scores, boxes, confidence = self._rows()
        names = [self.clip_name(int(key)) for key in keys[:, 0]]
        overlaps = box_overlaps(boxes[:, 0], boxes[:, 1])
        columns = ("precision", "recall", "f_measure", "j", "boundary_f")
        rows = [
            {
                "clip": name,
                "frame": int(number),
                **dict(zip(columns, map(float, values), strict=True)),
                "box_iou": float(overlap),
                "confidence": float(certainty),
            }
            for name, number, values, overlap, certainty in zip(
                names, keys[:, 1], scores[:, :, self.fixed], overlaps, confidence, strict=True
            )
        ]
        return sorted(rows, key=lambda row: (row["clip"], row["frame"]))

    def compute(self) -> dict[str, Any]:
        """Average over frames, then over clips; see the class for the keys."""
        keys, scores, boxes, confidence = self._rows()
        if not len(keys):
            return {}
        hits = box_hits(boxes[:, 0], boxes[:, 1]).numpy()
        members = [np.flatnonzero(keys[:, 0] == key) for key in np.unique(keys[:, 0])]
        masked = ~np.isnan(scores[:, PIXEL_MEASURES.index("j_mean")]).any(axis=1)  # (N,): frames with a true mask
        by_clip = np.stack([_mean_scores(scores[frames[masked[frames]]]) for frames in members])  # (C, 5, T)
        rates = [mean_of_known(hits[frames]) for frames in members]
        total = _mean_scores(by_clip[~np.isnan(by_clip[:, 0]).any(axis=1)])
        best = max(self.candidates, key=lambda level: (total[PIXEL_MEASURES.index("j_mean"), level], -level))
        clips = {}
        for frames, mean, rate in zip(members, by_clip, rates, strict=True):
            clips[self.clip_name(int(keys[frames[0], 0]))] = self._table(
                mean, best, rate, boxes[frames], confidence[frames], int(masked[frames].sum())
            )
        result = self._table(total, best, mean_of_known(np.array(rates)), boxes, confidence, int(masked.sum()))
        return {**result, "clips": dict(sorted(clips.items()))}

    def _rows(self) -> tuple[NDArray[Any], NDArray[Any], Tensor, Tensor]:
        """The state, one row a frame, in an order that fits all runs: keys, scores, boxes, confidence."""
        keys, rows = np.unique(join(self.keys).numpy(), axis=0, return_index=True)
        return keys, join(self.scores)[rows].numpy(), join(self.boxes)[rows], join(self.confidence)[rows]

    def _table(
        self, scores: NDArray[np.float64], best: int, rate: float, boxes: Tensor, confidence: Tensor, masks: int
    ) -> dict[str, float]:
        """Name the numbers of one clip, or of all.

        Args:
            scores: Mean measures, (5, T).
            best: Index of the best threshold.
            rate: Hit rate.
            boxes: Ours and the true boxes of these frames, (N, 2, 4).
            confidence: Confidence of our boxes, (N,).
            masks: How many of these frames have a true mask.
        """
        names = [*PIXEL_MEASURES, *(["boundary_f"] if self.boundary else [])] if masks else []
        table = {name: float(scores[row, self.fixed]) for row, name in enumerate(names)}
        table["hit_rate"] = rate
        table.update({f"best_{name}": float(scores[row, best]) for row, name in enumerate(names)})
        if masks:
            table["best_hit_rate"] = rate
            table["best_threshold"] = self.levels[best]
        if self.ranking:
            table["average_precision"] = average_precision(boxes[:, 0], boxes[:, 1], confidence)
        table["frames"] = len(boxes)
        table["masks"] = masks
        return table


def join(state: list[Tensor]) -> Tensor:
    """Join the rows of a state, gathered or not, on the CPU."""
    return dim_zero_cat([part.cpu() for part in state] if isinstance(state, list) else state).cpu()


def _mean_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average scores (N, 5, T) over their first axis; NaN if there are none."""
    empty: NDArray[np.float64] = np.full(scores.shape[1:], math.nan)
    return np.asarray(scores.mean(0)) if len(scores) else empty


def mean_of_known(values: NDArray[np.float64]) -> float:
    """Average what is not NaN; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
