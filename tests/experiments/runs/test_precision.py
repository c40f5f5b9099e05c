"""A training computes in bfloat16 only where that pays, and goes on in the precision that it began with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.cli import main
from experiments.runs import precision
from experiments.runs.folder import StageFolder

FitArguments = Callable[..., list[str]]


@pytest.fixture
def wants_bf16(tmp_path: Path, fit_arguments: FitArguments) -> Callable[..., list[str]]:
    """Arguments of a training whose config, not its command line, asks for bfloat16."""
    config = tmp_path / "bf16.yaml"
    config.write_text("trainer:\n  precision: bf16-mixed\n")

    def arguments(*more: str) -> list[str]:
        return fit_arguments(tmp_path, "inpaint", "--config", str(config), *more)

    return arguments


def trained_in(folder: Path) -> str:
    """The precision that the run has noted."""
    return str(StageFolder(folder / "inpaint").config()["trainer"]["precision"])


def test_a_slow_processor_computes_in_float32_and_says_so(
    wants_bf16: FitArguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, "cost_of_bf16", lambda: 40.0)
    assert main(wants_bf16()) == 0
    assert trained_in(tmp_path) == "32-true"
    assert "bfloat16 takes 40 times as long as float32" in capsys.readouterr().err


def test_a_fast_processor_computes_in_bfloat16(
    wants_bf16: FitArguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "cost_of_bf16", lambda: 0.5)
    assert main(wants_bf16()) == 0
    assert trained_in(tmp_path) == "bf16-mixed"


def test_the_command_line_decides(
    wants_bf16: FitArguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "cost_of_bf16", lambda: 40.0)
    assert main(wants_bf16("--trainer.precision", "bf16-mixed")) == 0
    assert trained_in(tmp_path) == "bf16-mixed"


def test_a_training_goes_on_in_its_precision_on_another_machine(
    wants_bf16: FitArguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "cost_of_bf16", lambda: 40.0)
    assert main(wants_bf16()) == 0
    monkeypatch.setattr(precision, "cost_of_bf16", lambda: 0.5)
    assert main(wants_bf16("--trainer.max_steps", "3")) == 0
    progress = StageFolder(tmp_path / "inpaint").progress()
    assert progress is not None and progress.step == 3
    assert trained_in(tmp_path) == "32-true"


def test_a_gpu_is_not_measured_on_the_processor() -> None:
    assert precision.slow_bf16("cuda") is None


def test_the_measurement_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    assert precision.cost_of_bf16.__wrapped__() > 0
    assert torch.equal(before, torch.get_rng_state())
