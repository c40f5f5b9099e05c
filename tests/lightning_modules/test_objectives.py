"""Objectives and priors: who learns from which, and what is refused."""

from __future__ import annotations

import pytest
import torch

from lightning_modules.estimators import Samples
from lightning_modules.objectives import (
    Background,
    BoxFit,
    BoxPrior,
    ConfidencePrior,
    Foreground,
    MaskPrior,
    Prior,
    ReachPrior,
)


def drawn() -> tuple[Samples, torch.Tensor]:
    weight = torch.tensor([[0.5, 1.5]], requires_grad=True)
    return Samples(torch.tensor([[3, 4]]), weight), weight


@pytest.mark.parametrize("reaches_p", [False, True])
def test_o_reaches_the_loss_always_and_p_only_where_that_is_asked_for(reaches_p: bool) -> None:
    samples, weight = drawn()
    loss = torch.tensor([[2.0, 4.0]], requires_grad=True)
    value = Foreground(reaches_p).expected(samples, loss)
    torch.testing.assert_close(value, torch.tensor([7.0]))
    value.sum().backward()
    assert loss.grad is not None
    assert (weight.grad is not None) == reaches_p


@pytest.mark.parametrize("reaches_boxes", [False, True])
def test_g_reaches_p_always_and_the_box_only_where_that_is_asked_for(reaches_boxes: bool) -> None:
    samples, weight = drawn()
    error, area = torch.tensor([[0.2, 0.4]], requires_grad=True), torch.tensor([[0.1, 0.2]], requires_grad=True)
    value = Background(reaches_boxes=reaches_boxes).expected(samples, error, area)
    torch.testing.assert_close(value, torch.tensor([-4.0]))
    value.sum().backward()
    assert weight.grad is not None
    assert (area.grad is not None) == (error.grad is not None) == reaches_boxes


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (MaskPrior, {"kind": "w"}, "kind of MaskPrior is w, expected none, l1, l2 or v."),
        (MaskPrior, {"over": "clip"}, "over of MaskPrior is clip, expected window or frame."),
        (MaskPrior, {"level": 2.0}, "level of MaskPrior is 2.0, expected 0 to 1."),
        (MaskPrior, {"weight": -1.0}, "weight of MaskPrior is -1.0, expected at least 0."),
        (BoxPrior, {"weight": -1.0}, "weight of BoxPrior is -1.0, expected at least 0."),
        (BoxPrior, {"size": 1.5}, "size of BoxPrior is 1.5, expected 0 to 1."),
        (ConfidencePrior, {"weight": -0.1}, "weight of ConfidencePrior is -0.1, expected at least 0."),
        (ReachPrior, {"weight": -0.1}, "weight of ReachPrior is -0.1, expected at least 0."),
        (BoxFit, {"warmup": 1.5}, "warmup of BoxFit is 1.5, expected 0 to 1."),
        (BoxFit, {"trim": 0.7}, "trim of BoxFit is 0.7, expected 0 to 0.5."),
        (BoxFit, {"margin": 0.0}, "margin of BoxFit is 0.0, expected above 0."),
        (BoxFit, {"weight": float("nan")}, "weight of BoxFit is nan, expected at least 0."),
    ],
)
def test_what_is_out_of_range_is_refused_in_one_sentence(
    kind: type[Prior], arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        kind(**arguments)  # type: ignore[arg-type]
