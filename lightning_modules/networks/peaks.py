"""Several subjects in one frame: well-separated places that many cells point to (Sec. 4.1, "Multiple people", Fig. 4).

The paper samples cells from ``p`` more than once, which shows every subject if ``p`` is high near each. A model that
was trained on single subjects need not be so even-handed: ``p`` has to sum to 1, so one subject may take nearly all of
it, and where boxes reach far from their cells ``p`` hardly matters for what is found. The boxes are more telling: those
of all cells gather on the subjects. So a subject is sought where many cells agree on a box, each with one vote.
docs/results/subjects.md compares this with the peaks of ``p`` itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from lightning_modules.networks.detector import Proposals

SAME = 0.7
"""Two cells agree if the IoU of their boxes is greater."""

OVERLAP = 0.3
"""Of two boxes with a greater IoU one shows no other subject."""

LEAST = 0.2
"""So many agree on a subject, as a share of those that agree on the surest one of the frame."""


def agreement(proposals: Proposals) -> Tensor:
    """The share of the live cells that agree with each cell's box.

    Args:
        proposals: What ``D`` says.

    Returns:
        (B, C), in (0, 1]; 0 on the outer ring.
    """
    live = proposals.live.expand_as(proposals.probability)
    corner = corners(proposals.box)
    same = torch.stack([box_iou(box, box) > SAME for box in corner])  # (B, C, C)
    votes = (same & live[:, None]).sum(dim=2) / live.sum(dim=1, keepdim=True)
    return votes * live


def peaks(proposals: Proposals) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes that many cells agree on, without those that overlap a better one (non-maximum suppression).

    Args:
        proposals: What ``D`` says.

    Returns:
        Number of the frame, box and :func:`agreement` of every peak, (R,), (R, 4), (R,); the highest first, every frame
        with one at least.
    """
    votes = agreement(proposals)
    frame, cell = (votes >= LEAST * votes.amax(dim=1, keepdim=True)).nonzero(as_tuple=True)
    box, votes = proposals.box[frame, cell], votes[frame, cell]
    kept = batched_nms(corners(box), votes, frame, OVERLAP)
    return frame[kept], box[kept], votes[kept]


def corners(box: Tensor) -> Tensor:
    """Boxes as torchvision has them: left, top, right, bottom from the frame's corner, clipped; (..., 4) each."""
    sides = torch.cat([box[..., :2] - box[..., 2:], box[..., :2] + box[..., 2:]], dim=-1)
    return sides.clamp(-1, 1) + 1
