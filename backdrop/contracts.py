"""The two dictionaries in which the rooms meet, the batch and the step output, and what may be in them.

:func:`validate_batch` and :func:`validate_output` refuse what breaks the contract, in one sentence that says which key,
what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, NoReturn, NotRequired, TypedDict

import torch
from torch import Tensor

Stage = Literal["train", "val", "test"]


class Batch(TypedDict):
    """What a data module yields.

    Attributes:
        image: RGB, (B, 3, H, W), float32 in [0, 1].
        clip: Name of each frame's clip.
        index: Original number of each frame in its clip, (B,), int64.
        mask: Ground truth, (B, 1, H', W'), bool; evaluation splits that have any.
        annotated: Which frames have a mask, (B,), bool; comes with ``mask``, which is all False in the others.
        objects: Which subject it is, (B, 1, H', W'), uint8, 0 = background, not 0 exactly where ``mask``; where masks
            tell several subjects apart.
        known: Where ``mask`` says what is there, (B, 1, H', W'), bool, somewhere in every annotated frame and nowhere
            in the others; ``mask`` is False elsewhere, and no score looks there. Where masks leave pixels open; without
            it every pixel of an annotated frame is known.
        box: Ground truth, (B, 4), float32, (cx, cy, sx, sy) in [-1, 1], NaN where a frame has none; evaluation splits
            that have any.
        plate: What the frame would show without its subject, (B, 3, H, W), float32 in [0, 1]; where the data module
            makes plates, not in testing.
        covered: Where the plate is known, (B, 1, H, W), bool; comes with ``plate``.
        evidence: How surely each pixel of the frame is not the scene, (B, 1, H, W), float32 in [0, 1]; comes with
            ``plate``.
        motion: Probability of the subject by motion alone, (B, 1, H, W), float32 in [0, 1]; where the data module makes
            targets, not in testing.
        target: Where the subject is by all cues, (B, 1, H, W), float32 in [0, 1]; comes with ``motion``.
        trust: How far to trust the target, (B, 1, H, W), float32 in [0, 1]; comes with ``motion``.
    """

    image: Tensor
    clip: list[str]
    index: Tensor
    mask: NotRequired[Tensor]
    annotated: NotRequired[Tensor]
    objects: NotRequired[Tensor]
    known: NotRequired[Tensor]
    box: NotRequired[Tensor]
    plate: NotRequired[Tensor]
    covered: NotRequired[Tensor]
    evidence: NotRequired[Tensor]
    motion: NotRequired[Tensor]
    target: NotRequired[Tensor]
    trust: NotRequired[Tensor]


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
        score: How sure it is that the mask is of a subject and well cut, (B,), in [0, 1]: from .5 on a subject counts
            as found. Of a calibrated model, where one subject is sought.
        subject_mask: Where several subjects are sought: their soft masks, the surest first, (B, N, H, W), in [0, 1],
            of which ``mask`` is the union; zeros where there are fewer than N.
        subject_box: Their boxes, (B, N, 4); comes with ``subject_mask``.
        subject_confidence: The share of the cells that agree on each, (B, N), exactly 0 where there are fewer; comes
            with ``subject_mask``, and ``box`` and ``confidence`` are then those of the surest.
        probability: Of every cell, (B, h, w).
        features: What an encoder makes of the frames, (B, D).
    """

    loss: Tensor
    composite: Tensor
    hole: Tensor
    background: Tensor
    mask: Tensor
    box: Tensor
    confidence: Tensor
    score: Tensor
    subject_mask: Tensor
    subject_box: Tensor
    subject_confidence: Tensor
    probability: Tensor
    features: Tensor


Shape = tuple[str | int, ...]
"""Numbers, and names of sizes that agree between keys."""

_BATCH: dict[str, tuple[torch.dtype, Shape]] = {
    "image": (torch.float32, ("B", 3, "H", "W")),
    "index": (torch.int64, ("B",)),
    "mask": (torch.bool, ("B", 1, "H'", "W'")),
    "annotated": (torch.bool, ("B",)),
    "objects": (torch.uint8, ("B", 1, "H'", "W'")),
    "known": (torch.bool, ("B", 1, "H'", "W'")),
    "box": (torch.float32, ("B", 4)),
    "plate": (torch.float32, ("B", 3, "H", "W")),
    "covered": (torch.bool, ("B", 1, "H", "W")),
    "evidence": (torch.float32, ("B", 1, "H", "W")),
    "motion": (torch.float32, ("B", 1, "H", "W")),
    "target": (torch.float32, ("B", 1, "H", "W")),
    "trust": (torch.float32, ("B", 1, "H", "W")),
}
_OUTPUT: dict[str, Shape] = {
    "loss": (),
    "composite": ("B", 3, "H", "W"),
    "hole": ("B", 1, "H", "W"),
    "background": ("B", 3, "H", "W"),
    "mask": ("B", 1, "H", "W"),
    "box": ("B", 4),
    "confidence": ("B",),
    "score": ("B",),
    "subject_mask": ("B", "N", "H", "W"),
    "subject_box": ("B", "N", 4),
    "subject_confidence": ("B", "N"),
    "probability": ("B", "h", "w"),
    "features": ("B", "D"),
}
_TOGETHER = (
    ("image", "clip", "index"),
    ("mask", "annotated"),
    ("plate", "covered", "evidence"),
    ("motion", "target", "trust"),
    ("subject_mask", "subject_box", "subject_confidence"),
)
_ANNOTATION = ("mask", "objects", "known", "box")
_BANNED: dict[Stage, tuple[str, ...]] = {"train": _ANNOTATION, "val": (), "test": ("plate", "target")}
_SHARES = (
    *("image", "plate", "evidence", "motion", "target", "trust"),
    *("mask", "subject_mask", "confidence", "score", "subject_confidence", "probability"),
)
_SLACK = 1e-3  # half precision may step over 1


def validate_batch(batch: Mapping[str, Any], stage: Stage) -> None:
    """Refuse a batch that breaks the contract; see :class:`Batch`.

    Args:
        batch: What a data module has yielded, after its ``on_after_batch_transfer``.
        stage: What it is for: batches to train on have no annotation, batches to test on no plates.

    Raises:
        ValueError: If a key is missing or unknown, or a value of another type, shape or range; the sentence names it.
    """
    _check_keys("batch", batch, Batch.__annotations__)
    if "image" not in batch:
        _refuse("batch", "image", "a tensor", "no such key")
    for key in ("objects", "known"):
        if key in batch and "mask" not in batch:
            _refuse("batch", "mask", f"one beside {key}", "no such key")
    for key in _BANNED[stage]:
        if key in batch:
            _refuse("batch", key, f"no such key in a {stage} batch", "one")
    sizes: dict[str | int, int] = {}
    for key, (kind, shape) in _BATCH.items():
        if key in batch:
            _check_tensor("batch", key, batch[key], kind, shape, sizes)
    clips, count = batch["clip"], sizes["B"]
    if not isinstance(clips, list) or len(clips) != count or not all(isinstance(name, str) for name in clips):
        _refuse("batch", "clip", f"a list of {count} strings", _described(clips))
    _check_annotation(batch)


def _check_annotation(batch: Mapping[str, Any]) -> None:
    """Refuse masks, objects, known pixels and boxes that contradict each other or themselves."""
    if "mask" in batch and bool(batch["mask"][~batch["annotated"]].any()):
        _refuse("batch", "mask", "all False where annotated is False", "a subject in a frame without annotation")
    if "objects" in batch and not torch.equal(batch["objects"] > 0, batch["mask"]):
        _refuse("batch", "objects", "not 0 exactly where mask is True", "other pixels")
    if "known" in batch:
        if bool((batch["mask"] & ~batch["known"]).any()):
            _refuse("batch", "mask", "False where known is False", "a subject where nothing is known")
        if not torch.equal(batch["known"].flatten(1).any(1), batch["annotated"]):
            _refuse("batch", "known", "True somewhere in annotated frames and nowhere in others", "another frame")
    if "box" in batch:
        known = batch["box"].isfinite()
        if not bool((known.any(1) == known.all(1)).all()) or bool((batch["box"][known.all(1)][:, 2:] <= 0).any()):
            _refuse("batch", "box", "four numbers with a positive extent, or NaN throughout", "a row that is neither")


def validate_output(output: Mapping[str, Any]) -> None:
    """Refuse a step output that breaks the contract; see :class:`StepOutput`.

    Args:
        output: What a step has returned.

    Raises:
        ValueError: If a key is unknown or alone, or a value of another type, shape or range, or still has a gradient;
            the sentence names it.
    """
    _check_keys("step output", output, _OUTPUT)
    sizes: dict[str | int, int] = {}
    for key, shape in _OUTPUT.items():
        if key in output:
            _check_tensor("step output", key, output[key], None, shape, sizes)
            if key != "loss" and output[key].requires_grad:
                _refuse("step output", key, "a detached tensor", "one with a gradient")


def _check_keys(what: str, values: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse keys that do not exist, and those that lack what comes with them."""
    for key in values:
        if key not in known:
            _refuse(what, key, f"one of {', '.join(known)}", "a key of that name")
    for group in _TOGETHER:
        missing = [key for key in group if key not in values]
        if missing and len(missing) < len(group) and set(group) <= set(known):
            _refuse(what, missing[0], f"{', '.join(group)} together", "no such key")


def _check_tensor(
    what: str, key: str, value: object, kind: torch.dtype | None, shape: Shape, sizes: dict[str | int, int]
) -> None:
    """Refuse a value that is no tensor of a type, shape and range.

    Args:
        what: The dictionary, as it is called in the message.
        key: Its key.
        value: What came.
        kind: The type; None takes any floating-point type.
        shape: The shape.
        sizes: Sizes that are known by their names; new ones are added.
    """
    known = tuple(sizes.get(size, size) for size in shape)
    expected = f"{_name(kind)} of shape ({', '.join(map(str, known))})"
    if not isinstance(value, Tensor) or (value.dtype != kind if kind else not value.is_floating_point()):
        _refuse(what, key, expected, _described(value))
    if value.ndim != len(known) or any(
        isinstance(size, int) and size != found for size, found in zip(known, value.shape, strict=True)
    ):
        _refuse(what, key, expected, _described(value))
    sizes.update(zip(shape, value.shape, strict=True))
    if key in _SHARES and value.is_floating_point() and value.numel():
        low, high = (float(bound) for bound in value.detach().aminmax())
        if low < -_SLACK or high > 1 + _SLACK:
            _refuse(what, key, "values in [0, 1]", f"values from {low:g} to {high:g}")


def _name(kind: torch.dtype | None) -> str:
    return "floating-point tensor" if kind is None else f"{str(kind).removeprefix('torch.')} tensor"


def _described(value: object) -> str:
    """What came, in a few words."""
    if isinstance(value, Tensor):
        return f"{_name(value.dtype)} of shape {tuple(value.shape)}"
    return type(value).__name__ + (f" of length {len(value)}" if isinstance(value, list | tuple) else "")


def _refuse(what: str, key: str, expected: str, came: str) -> NoReturn:
    raise ValueError(f"The {what} breaks the contract at '{key}': expected {expected}, got {came}.")
