"""SegmentationScores: precision, recall, F, J, boundary F, hit rate, peak, average precision and risk in a test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from backdrop.boxes import to_corners
from backdrop.ranges import require
from callbacks.measures.boundary import boundary_scores
from callbacks.measures.boxes import average_precision, box_hits, box_overlaps, points_inside, tight_boxes
from callbacks.measures.pixels import PIXEL_MEASURES, pixel_scores, threshold_counts, threshold_grid
from callbacks.measures.risk import risks
from callbacks.scores.frames import FrameScores, clip_key, join, mean_of_known


class SegmentationScores(FrameScores):
    """Measures of masks and boxes, per frame, then per clip, then over clips.

    One row per frame is kept and gathered, and a frame that was seen twice (clip and number are the same) counts once.
    So several processes give the same numbers as one even where a padded sampler repeats frames, and a process may
    hold no frame at all. Rows take about 0.8 kB a frame.

    ``compute`` returns plain Python floats: ``precision``, ``recall``, ``f_measure``, ``j_mean`` and, if asked for,
    ``boundary_f`` at the fixed threshold; ``best_...`` of each at ``best_threshold``, the grid threshold with the
    highest J over all clips (the lowest of equals); ``hit_rate`` and ``average_precision``, which do not depend on the
    threshold (``best_hit_rate`` is ``hit_rate``); where cells have probabilities, ``peak_in_box``, the share of frames
    whose likeliest cell has its centre in the true box; where frames have a score, what
    :func:`callbacks.measures.risk.risks` says of it (of a clip without the curve); ``frames``; ``masks``, the number of
    frames with a true mask, over which the measures of pixels run; ``clips``, the same by clip name, at the same two
    thresholds. Frames without subject are left out of ``hit_rate`` and ``peak_in_box``, and so are clips that have no
    other frame; NaN says that nothing was left. Where no frame has a true mask, the measures of pixels and ``best_...``
    are left out. The dict is empty when no frame was seen.

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
    peaks: list[Tensor]  # (N, 2) float32: centre of the likeliest cell, x then y in pixels; NaN for none
    sure: list[Tensor]  # (N,) float32: the model's own score; NaN for none

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
        require(self, 0 < threshold < 1, "threshold", threshold, "a number in (0, 1), such as 0.5")
        require(self, 0 < grid_step <= 0.5, "grid_step", grid_step, "a number in (0, 0.5], such as the paper's 0.05")
        grid = threshold_grid(grid_step)
        levels = sorted({*grid, round(threshold, 6)})
        self.levels = levels
        self.fixed = levels.index(round(threshold, 6))
        self.candidates = [levels.index(level) for level in grid]
        self.boundary = boundary
        self.ranking = ranking
        self.register_buffer("thresholds", torch.tensor(levels, dtype=torch.float32), persistent=False)
        for state in ("keys", "scores", "boxes", "confidence", "peaks", "sure"):
            self.add_state(state, [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all frames; leave an empty tensor of the right shape, so that a process without frames can gather."""
        super().reset()
        self.keys = [torch.empty(0, 2, dtype=torch.int64, device=self.device)]
        self.scores = [torch.empty(0, 5, len(self.levels), dtype=torch.float64, device=self.device)]
        self.boxes = [torch.empty(0, 2, 4, device=self.device)]
        self.confidence = [torch.empty(0, device=self.device)]
        self.peaks = [torch.empty(0, 2, device=self.device)]
        self.sure = [torch.empty(0, device=self.device)]

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
        peak: Tensor | None = None,
        known: Tensor | None = None,
        sure: Tensor | None = None,
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
            peak: Centre of each frame's likeliest cell, x then y in [-1, 1], (B, 2); None where cells have no
                probability.
            known: Where the true mask says what is there, (B, 1, He, We), bool; None means everywhere. Elsewhere both
                masks are taken as background, before pixels are counted and outlines drawn, as the official tool of
                DAVIS-2017 does with its void pixels; the true box is that of the known subject.
            sure: The model's own score of each frame, (B,), in [0, 1]; None where it has none.
        """
        truth = truth if known is None else truth & known
        size = (truth.shape[2], truth.shape[3])
        rows = torch.arange(len(truth), device=truth.device) if annotated is None else annotated.nonzero().flatten()
        scores = torch.full(
            (len(truth), 5, len(self.levels)), math.nan, dtype=torch.float64, device=prediction.device
        )
        if len(rows):
            scores[rows] = self._frame_scores(prediction[rows], truth[rows], None if known is None else known[rows])
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
        peaks = box.new_full((len(box), 2), math.nan) if peak is None else peak
        self.peaks.append((peaks.float() + 1) / 2 * peaks.new_tensor([size[1], size[0]]))
        self.sure.append(torch.full_like(self.confidence[-1], math.nan) if sure is None else sure.detach().float())

    def _frame_scores(self, prediction: Tensor, truth: Tensor, known: Tensor | None) -> Tensor:
        """Precision, recall, F, J and boundary F of some frames with a true mask, (B, 5, T), float64."""
        size = (truth.shape[2], truth.shape[3])
        mask = prediction.detach().float()
        if mask.shape[2:] != truth.shape[2:]:
            mask = F.interpolate(mask, size, mode="bilinear", align_corners=False)  # (B, 1, He, We)
        mask = mask if known is None else mask.masked_fill(~known, 0.0)  # below every threshold
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
            it has no subject), ``peak_in_box`` (1 or 0; NaN also where cells have no probability),
            ``confidence`` and ``score`` (NaN where the model has none).
        """
        keys, scores, boxes, confidence, peaks, sure = self._rows()
        names = [self.clip_name(int(key)) for key in keys[:, 0]]
        overlaps, inside = box_overlaps(boxes[:, 0], boxes[:, 1]), points_inside(peaks, boxes[:, 1])
        columns = ("precision", "recall", "f_measure", "j", "boundary_f")
        rows = [
            {
                "clip": name,
                "frame": int(number),
                **dict(zip(columns, map(float, values), strict=True)),
                "box_iou": float(overlap),
                "peak_in_box": float(peak),
                "confidence": float(certainty),
                "score": float(score),
            }
            for name, number, values, overlap, peak, certainty, score in zip(
                names, keys[:, 1], scores[:, :, self.fixed], overlaps, inside, confidence, sure, strict=True
            )
        ]
        return sorted(rows, key=lambda row: (row["clip"], row["frame"]))

    def compute(self) -> dict[str, Any]:
        """Average over frames, then over clips; see the class for the keys."""
        keys, scores, boxes, confidence, peaks, sure = self._rows()
        if not len(keys):
            return {}
        j = scores[:, PIXEL_MEASURES.index("j_mean"), self.fixed]
        shares = {"hit_rate": box_hits(boxes[:, 0], boxes[:, 1]).numpy()}
        if not bool(peaks.isnan().all()):
            shares["peak_in_box"] = points_inside(peaks, boxes[:, 1]).numpy()
        members = [np.flatnonzero(keys[:, 0] == key) for key in np.unique(keys[:, 0])]
        masked = ~np.isnan(scores[:, PIXEL_MEASURES.index("j_mean")]).any(axis=1)  # (N,): frames with a true mask
        by_clip = np.stack([_mean_scores(scores[frames[masked[frames]]]) for frames in members])  # (C, 5, T)
        rates = {name: [mean_of_known(one[frames]) for frames in members] for name, one in shares.items()}
        total = _mean_scores(by_clip[~np.isnan(by_clip[:, 0]).any(axis=1)])
        best = max(self.candidates, key=lambda level: (total[PIXEL_MEASURES.index("j_mean"), level], -level))
        clips = {}
        for place, (frames, mean) in enumerate(zip(members, by_clip, strict=True)):
            own = {name: values[place] for name, values in rates.items()}
            clips[self.clip_name(int(keys[frames[0], 0]))] = self._table(
                mean, best, own, boxes[frames], confidence[frames], int(masked[frames].sum())
            ) | risks(sure[frames].numpy(), j[frames], curve=False)
        overall = {name: mean_of_known(np.array(values)) for name, values in rates.items()}
        result = self._table(total, best, overall, boxes, confidence, int(masked.sum()))
        return {**result, **risks(sure.numpy(), j), "clips": dict(sorted(clips.items()))}

    def _rows(self) -> tuple[NDArray[Any], NDArray[Any], Tensor, Tensor, Tensor, Tensor]:
        """The state, one row a frame, in an order that fits all runs: keys, scores, boxes, confidence, peaks, sure."""
        keys, rows = np.unique(join(self.keys).numpy(), axis=0, return_index=True)
        states = (self.boxes, self.confidence, self.peaks, self.sure)
        boxes, confidence, peaks, sure = (join(state)[rows] for state in states)
        return keys, join(self.scores)[rows].numpy(), boxes, confidence, peaks, sure

    def _table(
        self,
        scores: NDArray[np.float64],
        best: int,
        rates: dict[str, float],
        boxes: Tensor,
        confidence: Tensor,
        masks: int,
    ) -> dict[str, float]:
        """Name the numbers of one clip, or of all.

        Args:
            scores: Mean measures, (5, T).
            best: Index of the best threshold.
            rates: Hit rate, and where there are peaks how many are in the box, by name.
            boxes: Ours and the true boxes of these frames, (N, 2, 4).
            confidence: Confidence of our boxes, (N,).
            masks: How many of these frames have a true mask.
        """
        names = [*PIXEL_MEASURES, *(["boundary_f"] if self.boundary else [])] if masks else []
        table = {name: float(scores[row, self.fixed]) for row, name in enumerate(names)}
        table |= rates
        table.update({f"best_{name}": float(scores[row, best]) for row, name in enumerate(names)})
        if masks:
            table["best_hit_rate"] = rates["hit_rate"]
            table["best_threshold"] = self.levels[best]
        if self.ranking:
            table["average_precision"] = average_precision(boxes[:, 0], boxes[:, 1], confidence)
        table["frames"] = len(boxes)
        table["masks"] = masks
        return table


def _mean_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average scores (N, 5, T) over their first axis; NaN if there are none."""
    empty: NDArray[np.float64] = np.full(scores.shape[1:], math.nan)
    return np.asarray(scores.mean(0)) if len(scores) else empty
