"""Several subjects in one frame: the well-separated peaks of ``p`` (Sec. 4.1, "Multiple people", Fig. 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from lightning_modules.networks.detector import Proposals

OVERLAP = 0.5
"""Boxes of a greater IoU show the same subject."""

LEAST = 0.1
"""A peak is at least this share of the highest one of its frame."""


def agreement(proposals: Proposals, overlap: float = OVERLAP) -> Tensor:
    """How probable it is that a cell drawn from ``p`` shows what a cell's box shows.

    The paper finds several people by sampling its model more than once. What it would see often is summed up here
    instead: neighbouring cells share a subject, so each has but a part of its probability, and where boxes reach far
    from their cells these need not even be neighbours.

    Args:
        proposals: What ``D`` says.
        overlap: Boxes of a greater IoU show the same.

    Returns:
        (B, C), in [0, 1]; 0 on the outer ring.
    """
    votes = []
    for probability, box in zip(proposals.probability, corners(proposals.box), strict=True):
        same = (box_iou(box, box) > overlap).to(probability)  # (C, C)
        votes.append((same @ probability) * (probability > 0))
    return torch.stack(votes)


def peaks(proposals: Proposals, overlap: float = OVERLAP, least: float = LEAST) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes that stand apart: those that most cells agree on, without those that overlap a better one.

    Args:
        proposals: What ``D`` says.
        overlap: Of two boxes of a greater IoU only the better one is kept (non-maximum suppression).
        least: The smallest :func:`agreement`, as a share of the frame's largest, in [0, 1].

    Returns:
        Number of the frame, box and agreement of every peak, (R,), (R, 4), (R,); the highest first, every frame with
        one at least.
    """
    score = agreement(proposals, overlap)
    high = score >= least * score.amax(dim=1, keepdim=True)
    frame, cell = (high & (score > 0)).nonzero(as_tuple=True)
    box, score = proposals.box[frame, cell], score[frame, cell]
    kept = batched_nms(corners(box), score, frame, overlap)
    return frame[kept], box[kept], score[kept]


def corners(box: Tensor) -> Tensor:
    """Boxes as torchvision has them: left, top, right, bottom from the frame's corner, clipped; (..., 4) each."""
    sides = torch.cat([box[..., :2] - box[..., 2:], box[..., :2] + box[..., 2:]], dim=-1)
    return sides.clamp(-1, 1) + 1
