"""The contract between the rooms refuses what breaks it, in one sentence that names the key."""

import math
from typing import Any

import pytest
import torch

from backdrop.contracts import Batch, Stage, StepOutput, validate_batch, validate_output


def batch(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A whole batch of two frames; a change to None takes its key away."""
    mask = torch.zeros(2, 1, 8, 12, dtype=torch.bool)
    mask[0, :, 2:5, 3:7] = True
    whole: dict[str, Any] = {
        "image": torch.rand(2, 3, 4, 6),
        "clip": ["bear", "boat"],
        "index": torch.tensor([3, 0]),
        "mask": mask,
        "annotated": torch.tensor([True, False]),
        "objects": mask.to(torch.uint8) * 2,
        "known": torch.tensor([True, False])[:, None, None, None].expand(2, 1, 8, 12),
        "box": torch.tensor([[0.0, 0.1, 0.5, 0.4], [math.nan] * 4]),
        "plate": torch.rand(2, 3, 4, 6),
        "covered": torch.ones(2, 1, 4, 6, dtype=torch.bool),
        "evidence": torch.rand(2, 1, 4, 6),
        **{name: torch.rand(2, 1, 4, 6) for name in ("motion", "target", "trust")},
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def output(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A whole step output of two frames with up to three subjects; a change to None takes its key away."""
    whole: dict[str, Any] = {
        "loss": torch.tensor(1.5),
        "composite": torch.rand(2, 3, 4, 6),
        "hole": torch.ones(2, 1, 4, 6),
        "background": torch.rand(2, 3, 4, 6),
        "mask": torch.rand(2, 1, 4, 6),
        "box": torch.rand(2, 4),
        "confidence": torch.rand(2),
        "score": torch.rand(2),
        "subject_mask": torch.rand(2, 3, 4, 6),
        "subject_box": torch.rand(2, 3, 4),
        "subject_confidence": torch.rand(2, 3),
        "probability": torch.full((2, 2, 2), 0.25),
        "features": torch.rand(2, 5),
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def test_a_whole_batch_and_a_whole_output_pass() -> None:
    assert batch().keys() == Batch.__annotations__.keys() and output().keys() == StepOutput.__annotations__.keys()
    validate_batch(batch(), "val")
    validate_output(output())
    validate_output({})


@pytest.mark.parametrize(
    ("stage", "without"),
    [("train", "mask annotated objects known box"), ("test", "plate covered evidence target motion trust")],
)
def test_a_stage_knows_what_it_must_not_bring(stage: Stage, without: str) -> None:
    first = without.split()[0]
    with pytest.raises(ValueError, match=f"'{first}': expected no such key in a {stage} batch, got one"):
        validate_batch(batch(), stage)
    validate_batch(batch(**dict.fromkeys(without.split())), stage)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": None}, "'image': expected image, clip, index together, got no such key"),
        ({"index": None}, "'index': expected image, clip, index together"),
        ({"annotated": None}, "'annotated': expected mask, annotated together"),
        ({"mask": None, "annotated": None}, "'mask': expected one beside objects"),
        ({"mask": None, "annotated": None, "objects": None}, "'mask': expected one beside known"),
        ({"covered": None}, "'covered': expected plate, covered, evidence together"),
        ({"depth": torch.rand(2, 1)}, "'depth': expected one of image, clip, index, .*, got a key of that name"),
        ({"image": torch.zeros(2, 3, 4, 6, dtype=torch.uint8)}, "float32 tensor .*, got uint8 tensor"),
        ({"image": torch.full((2, 3, 4, 6), 1.5)}, r"expected values in \[0, 1\], got values from 1.5 to 1.5"),
        ({"image": torch.rand(2, 1, 4, 6)}, r"of shape \(B, 3, H, W\), got .* of shape \(2, 1, 4, 6\)"),
        ({"index": torch.tensor([3.0, 0.0])}, "'index': expected int64 tensor"),
        ({"index": torch.arange(3)}, r"'index': expected .* of shape \(2\), got .* of shape \(3,\)"),
        ({"clip": ["bear"]}, "'clip': expected a list of 2 strings, got list of length 1"),
        ({"clip": ["bear", 3]}, "'clip': expected a list of 2 strings"),
        ({"plate": torch.rand(2, 3, 12, 6)}, r"'plate': expected .* \(2, 3, 4, 6\), got .* \(2, 3, 12, 6\)"),
        ({"evidence": -torch.ones(2, 1, 4, 6)}, r"'evidence': expected values in \[0, 1\]"),
        ({"annotated": torch.tensor([False, False])}, "'mask': expected all False where annotated is False"),
        ({"objects": torch.zeros(2, 1, 8, 12, dtype=torch.uint8)}, "'objects': expected not 0 exactly where mask"),
        ({"known": torch.zeros(2, 1, 8, 12, dtype=torch.bool)}, "'mask': expected False where known is False"),
        ({"known": torch.ones(2, 1, 8, 12, dtype=torch.bool)}, "'known': expected True somewhere in annotated frames"),
        ({"box": torch.tensor([[0.0, 0.1, math.nan, 0.4]] * 2)}, "'box': expected four numbers"),
        ({"box": torch.tensor([[0.0, 0.1, 0.0, 0.4]] * 2)}, "'box': expected four numbers with a positive extent"),
    ],
)
def test_a_batch_that_breaks_the_contract_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^The batch breaks the contract at .*{said}"):
        validate_batch(batch(**changes), "val")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heat": torch.rand(2)}, "'heat': expected one of loss, composite"),
        ({"loss": torch.rand(1)}, r"'loss': expected floating-point tensor of shape \(\), got .* \(1,\)"),
        ({"mask": torch.ones(2, 1, 4, 6, dtype=torch.bool)}, "'mask': expected floating-point tensor"),
        ({"mask": torch.full((2, 1, 4, 6), 2.0)}, r"'mask': expected values in \[0, 1\]"),
        ({"box": torch.rand(3, 4)}, r"'box': expected .* of shape \(2, 4\)"),
        ({"box": torch.rand(2, 4, requires_grad=True)}, "'box': expected a detached tensor, got one with a gradient"),
        ({"subject_box": None}, "'subject_box': expected subject_mask, subject_box, subject_confidence together"),
        ({"subject_box": torch.rand(2, 2, 4)}, r"'subject_box': expected .* of shape \(2, 3, 4\)"),
        ({"confidence": None, "probability": [0.5]}, "'probability': expected .*, got list of length 1"),
    ],
)
def test_an_output_that_breaks_the_contract_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^The step output breaks the contract at {said}"):
        validate_output(output(**changes))


def test_a_loss_may_have_a_gradient_and_half_precision_a_little_more_than_one() -> None:
    validate_output(output(loss=torch.ones((), requires_grad=True), mask=torch.full((2, 1, 4, 6), 1.0005)))
