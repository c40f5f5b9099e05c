"""The two dictionaries in which the rooms meet: the batch and the step output."""

from typing import NotRequired, TypedDict

from torch import Tensor


class Batch(TypedDict):
    """What a data module yields.

    Attributes:
        image: RGB, (B, 3, H, W), float32 in [0, 1].
        clip: Name of each frame's clip.
        index: Number of each frame in its clip, (B,), int64.
        mask: Ground truth, (B, 1, H', W'), bool; evaluation splits that have any.
        annotated: Which frames have a mask, (B,), bool; comes with ``mask``.
        objects: Which subject it is, (B, 1, H', W'), uint8, 0 = background, not 0 exactly where ``mask``; where masks
            tell several subjects apart.
        box: Ground truth, (B, 4), (cx, cy, sx, sy) in [-1, 1], NaN where a frame has none; evaluation splits that have
            any.
        plate: What the frame would show without its subject, (B, 3, H, W), float32 in [0, 1]; where the data module
            makes plates, not in testing.
        covered: Where the plate is known, (B, 1, H, W), bool; comes with ``plate``.
        evidence: How surely each pixel of the frame is not the scene, (B, 1, H, W), float32 in [0, 1]; comes with
            ``plate``.
    """

    image: Tensor
    clip: list[str]
    index: Tensor
    mask: NotRequired[Tensor]
    annotated: NotRequired[Tensor]
    objects: NotRequired[Tensor]
    box: NotRequired[Tensor]
    plate: NotRequired[Tensor]
    covered: NotRequired[Tensor]
    evidence: NotRequired[Tensor]


class StepOutput(TypedDict, total=False):
    """What a step returns; all but the loss is detached.

    Attributes:
        loss: Scalar.
        composite: The reconstructed frame, (B, 3, H, W).
        hole: What stage 1 hid, (B, 1, H, W).
        background: The inpainted frame, (B, 3, H, W); absent at inference.
        mask: Soft mask of the subject, (B, 1, H, W), in [0, 1].
        box: (B, 4), (cx, cy, sx, sy) in [-1, 1].
        confidence: Probability of that box's cell, (B,).
        subject_mask: Where several subjects are sought: their soft masks, the surest first, (B, N, H, W), in [0, 1],
            of which ``mask`` is the union; zeros where there are fewer than N.
        subject_box: Their boxes, (B, N, 4); comes with ``subject_mask``.
        subject_confidence: The share of the cells that agree on each, (B, N), exactly 0 where there are fewer; comes
            with ``subject_mask``, and ``box`` and ``confidence`` are then those of the surest.
        probability: Of every cell, (B, h, w).
    """

    loss: Tensor
    composite: Tensor
    hole: Tensor
    background: Tensor
    mask: Tensor
    box: Tensor
    confidence: Tensor
    subject_mask: Tensor
    subject_box: Tensor
    subject_confidence: Tensor
    probability: Tensor
