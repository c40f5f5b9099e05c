"""NanGuard stops at the first broken loss, before it reaches the weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from callbacks import LossNotFinite, NanGuard
from tests.callbacks import toy


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_stops(tmp_path: Path, bad: float) -> None:
    """The message gives the loss, the step, the clips and the remedies; the weights stay finite."""
    module = toy.ToyModule(bad_step=2, bad=bad)
    trainer = toy.trainer(tmp_path, [NanGuard()])
    message = rf"is {bad} at step 2 .*learning_rate.*32-true.*clips bear, camel"
    with pytest.raises(LossNotFinite, match=message) as error:
        trainer.fit(module, toy.loader(toy.ToyFrames({"bear": 8, "camel": 8})))
    assert isinstance(error.value, RuntimeError) and "\n" not in str(error.value)
    assert trainer.global_step == 2
    assert torch.isfinite(module.weight).all()


def test_lets_good_losses_pass(tmp_path: Path) -> None:
    """A finite loss goes through to the end of the epoch."""
    trainer = toy.trainer(tmp_path, [NanGuard()])
    trainer.fit(toy.ToyModule(), toy.loader(toy.ToyFrames({"bear": 6}, masks=False)))
    assert trainer.global_step == 2
