"""SubjectScores: which of several subjects are found, and how well each, in all frames of a test (paper, Fig. 4)."""

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
from callbacks.measures.boxes import average_precision_of_several, tight_boxes
from callbacks.measures.subjects import SUBJECT_MEASURES, frame_measures, split_objects
from callbacks.scores.frames import FrameScores, clip_key, join, mean_of_known

SLOTS = 32
"""Most subjects of a frame; as many boxes are kept of each, so that processes can gather them."""


class SubjectScores(FrameScores):
    """Measures of several subjects, per frame, then per clip, then over clips.

    ``compute`` returns plain floats: ``subject_j``, the mean J of the true subjects, 0 for a missed one;
    ``subject_recall``, the share of them whose box has IoU > 0.5; ``count_accuracy``, the share of frames in which as
    many were found as there are; ``subjects_found`` and ``subjects_there``, the mean numbers; ``average_precision``,
    COCO's at IoU 0.5, where every box counts, in all frames together; and ``clips``, all but the last by clip. The
    dict is empty when no frame was seen. A frame that was seen twice counts once, as in
    :class:`callbacks.scores.SegmentationScores`.

    Args:
        threshold: Mask values from here on count as subject.
        **kwargs: Options of :class:`torchmetrics.Metric`.
    """

    full_state_update = False
    keys: list[Tensor]  # (N, 2) int64: clip, frame number
    rows: list[Tensor]  # (N, 5) float64: SUBJECT_MEASURES
    boxes: list[Tensor]  # (N, 2, SLOTS, 5) float32: ours and the true ones, corners in pixels, confidence; NaN for none

    def __init__(self, threshold: float = 0.5, **kwargs: Any) -> None:  # noqa: ANN401
        """Set up the empty state."""
        super().__init__(**kwargs)
        self.threshold = threshold
        for state in ("keys", "rows", "boxes"):
            self.add_state(state, [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all frames; leave empty tensors of the right shape, so that a process without frames can gather."""
        super().reset()
        self.keys = [torch.empty(0, 2, dtype=torch.int64, device=self.device)]
        self.rows = [torch.empty(0, len(SUBJECT_MEASURES), dtype=torch.float64, device=self.device)]
        self.boxes = [torch.empty(0, 2, SLOTS, 5, device=self.device)]

    def update(
        self,
        mask: Tensor,
        box: Tensor,
        confidence: Tensor,
        objects: Tensor,
        clip: Sequence[str],
        index: Tensor,
        known: Tensor | None = None,
    ) -> None:
        """Add the frames of a batch.

        Args:
            mask: Soft masks of what was found, (B, N, H, W), in [0, 1]; resized bilinearly to the size of ``objects``.
            box: Boxes (cx, cy, sx, sy) in [-1, 1], (B, N, 4).
            confidence: (B, N); what has 0 was not found.
            objects: Number of the true object at each pixel, 0 = background, (B, 1, He, We), integer.
            clip: Name of each frame's clip.
            index: Frame number in its clip, (B,), int64.
            known: See :meth:`callbacks.scores.SegmentationScores.update`.

        Raises:
            ValueError: If a frame has more than 32 subjects.
        """
        size = (objects.shape[2], objects.shape[3])
        large = F.interpolate(mask.detach().float(), size, mode="bilinear", align_corners=False) >= self.threshold
        if known is not None:
            large, objects = large & known, objects * known
        for row, name in enumerate(clip):
            found = confidence[row] > 0
            boxes, truth = to_corners(box[row, found], size), split_objects(objects[row, 0])
            if max(len(boxes), len(truth)) > SLOTS:
                raise ValueError(f"Frame {int(index[row])} of clip '{name}' has more than {SLOTS} subjects.")
            true_boxes = tight_boxes(truth[:, None])
            key = [clip_key(name), int(index[row])]
            self.names[key[0]] = name
            kept = boxes.new_full((2, SLOTS, 5), math.nan)
            kept[0, : len(boxes)] = torch.cat([boxes, confidence[row, found, None].detach().to(boxes)], dim=1)
            kept[1, : len(truth)] = F.pad(true_boxes, (0, 1), value=1.0)
            measures = frame_measures(large[row, found], boxes, truth, true_boxes)
            self.keys.append(torch.tensor([key], device=self.device))
            self.rows.append(torch.tensor([measures], dtype=torch.float64, device=self.device))
            self.boxes.append(kept[None].to(self.device))

    def compute(self) -> dict[str, Any]:
        """Average over frames, then over clips; see the class for the keys."""
        keys = join(self.keys).numpy()
        if not len(keys):
            return {}
        keys, first = np.unique(keys, axis=0, return_index=True)
        rows, boxes = join(self.rows)[first].numpy(), join(self.boxes)[first]
        by_clip = {}
        for key in np.unique(keys[:, 0]):
            by_clip[self.clip_name(int(key))] = _means(rows[keys[:, 0] == key])
        total = _means(np.array([list(means.values()) for means in by_clip.values()]))
        ours, true = ([frame[~frame[:, 0].isnan()] for frame in side] for side in boxes.unbind(1))
        precision = average_precision_of_several(
            [found[:, :4] for found in ours], [found[:, 4] for found in ours], [there[:, :4] for there in true]
        )
        return {**total, "average_precision": precision, "clips": dict(sorted(by_clip.items()))}


def _means(rows: NDArray[np.float64]) -> dict[str, float]:
    """Average measures (N, 5) over their first axis, each over what is known."""
    return {name: mean_of_known(values) for name, values in zip(SUBJECT_MEASURES, rows.T, strict=True)}
