"""What is reported of a frame: its subject, or several, a box and a mask for each (Sec. 4.1, Fig. 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from backdrop.contracts import StepOutput
from lightning_modules.geometry import tighten
from lightning_modules.networks import Proposals, Segmenter, peaks
from lightning_modules.score import Score, observed


def described(proposals: Proposals, box: Tensor, confidence: Tensor) -> StepOutput:
    """``box``, ``confidence`` and ``probability`` of :class:`StepOutput`, detached."""
    probability = proposals.probability.detach().unflatten(1, proposals.grid)
    return {"box": box.detach(), "confidence": confidence.detach(), "probability": probability}


def shape_of(output: StepOutput) -> dict[str, Tensor]:
    """What is logged of a step beside its losses: means of confidence, box and mask, by name."""
    width, height = output["box"][:, 2:].mean(dim=0)
    means = {"confidence": output["confidence"].mean(), "box_width": width, "box_height": height}
    return means | ({"mask_mean": output["mask"].mean()} if "mask" in output else {})


def best_subject(
    image: Tensor,
    proposals: Proposals,
    segmenter: Segmenter,
    tight: bool,
    count: int,
    score: Score | None = None,
    mask_only: bool = False,
) -> tuple[StepOutput, Tensor, Tensor, Tensor | None]:
    """Segment what is in the most probable box; where several subjects are sought, these too.

    Args:
        image: (B, 3, H, W) in [0, 1].
        proposals: What ``D`` says of it.
        segmenter: Of the trained model.
        tight: Report the extent of the mask as box instead of the detector's.
        count: Most subjects to report.
        score: Scores the frames, where it is calibrated and one subject is sought.
        mask_only: Nobody asks for the foreground.

    Returns:
        ``mask``, ``box``, ``confidence``, ``probability`` and ``score`` of :class:`StepOutput`, and what
        :func:`find_subjects` adds or puts in their place; then, of the most probable box: the detector's box, (B, 4),
        mask and foreground, which is None where nobody asks for it.
    """
    box, confidence = proposals.best()
    mask, foreground, window_mask = segmenter(image, box, mask_only)
    reported = tighten(box, window_mask)[0] if tight else box
    output = described(proposals, reported, confidence) | {"mask": mask}
    if score is not None and count == 1:
        output["score"] = score(observed(proposals, box, window_mask))
    if count > 1:
        output |= find_subjects(image, proposals, segmenter, count, tight)
    return output, box, mask, foreground


@torch.no_grad()
def find_subjects(image: Tensor, proposals: Proposals, segmenter: Segmenter, count: int, tight: bool) -> StepOutput:
    """Segment what is at each of the detector's peaks.

    ``S`` sees the peaks' windows one by one; windows in which it finds nothing are left out, but for the surest.

    Args:
        image: (B, 3, H, W) in [0, 1].
        proposals: What ``D`` says of it.
        segmenter: Of the trained model.
        count: Most subjects to report, N.
        tight: Report the extent of the masks as boxes instead of the detector's.

    Returns:
        ``subject_mask``, ``subject_box`` and ``subject_confidence`` of :class:`StepOutput`; ``mask``, their union; and
        ``box`` and ``confidence``, those of the surest.
    """
    frame, box, confidence = peaks(proposals)
    mask, _, window_mask = segmenter(image[frame], box, mask_only=True)
    extent, found = tighten(box, window_mask)
    kept = (found | (_rank(frame) == 0)).nonzero().flatten()
    rank = _rank(frame[kept])
    kept, rank = kept[rank < count], rank[rank < count]
    frames = image.shape[0]
    subject_mask = mask.new_zeros(frames, count, *mask.shape[2:])
    subject_box, subject_confidence = box.new_zeros(frames, count, 4), confidence.new_zeros(frames, count)
    subject_mask[frame[kept], rank] = mask[kept, 0]
    subject_box[frame[kept], rank] = (extent if tight else box)[kept]
    subject_confidence[frame[kept], rank] = confidence[kept]
    return {
        "subject_mask": subject_mask,
        "subject_box": subject_box,
        "subject_confidence": subject_confidence,
        "mask": subject_mask.amax(dim=1, keepdim=True),
        "box": subject_box[:, 0],
        "confidence": subject_confidence[:, 0],
    }


def _rank(frame: Tensor) -> Tensor:
    """How many entries before each are of the same frame, (R,)."""
    same = frame[:, None] == frame[None]
    return same.tril(-1).sum(dim=1)
