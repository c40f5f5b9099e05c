"""The toys of these tests keep the contract of the rooms; what keeps to none is left alone."""

from __future__ import annotations

import pytest
import torch

from backdrop.contracts import validate_batch, validate_output
from callbacks.steps import step
from tests.callbacks import toy


@pytest.mark.parametrize("inpainter", [False, True])
@pytest.mark.parametrize("masks", [False, True])
def test_the_toys_keep_the_contract(inpainter: bool, masks: bool) -> None:
    frames = toy.ToyFrames({"bear": 6}, toy.half_annotated, masks, box=lambda position: (0.1 * position, 0.0, 0.2, 0.3))
    module = toy.ToyModule(inpainter)
    for batch in toy.loader(frames):
        outputs = module.validation_step(batch, 0)
        validate_batch(batch, "val")
        validate_output(outputs)
        assert step(outputs, batch) == (outputs, batch)


def test_what_keeps_to_no_contract_is_left_alone() -> None:
    batch = next(iter(toy.loader(toy.ToyFrames({"bear": 2}))))
    for outputs, given in ((None, batch), (torch.zeros(()), batch), ({"loss": torch.zeros(())}, [batch["image"]])):
        assert step(outputs, given) is None
