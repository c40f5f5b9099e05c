"""Plain progress lines for logs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import RichProgressBar

from experiments.runs import progress_bar as progress
from experiments.runs.progress_bar import LineProgress, duration, progress_bar


def trainer(step: int) -> Any:  # noqa: ANN401
    """As much of a trainer as the lines speak of."""
    metrics = {"train/loss": torch.tensor(0.25), "val/loss": torch.tensor(0.5), "val/j_mean": torch.tensor(0.75)}
    return SimpleNamespace(
        global_step=step, estimated_stepping_batches=10, callback_metrics=metrics, sanity_checking=False
    )


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65.4, "1:05"), (3599.6, "1:00:00"), (7325, "2:02:05")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    bar = LineProgress(every_seconds=15)
    bar.on_train_start(trainer(0), None)  # type: ignore[arg-type]
    for step in range(1, 11):
        now[0] += 4
        bar.on_train_batch_end(trainer(step), None, None, None, step)  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "step 4/10  train/loss 0.2500  0.25 steps/s  0:16 gone  0:24 left",
        "step 8/10  train/loss 0.2500  0.25 steps/s  0:32 gone  0:08 left",
        "step 10/10  train/loss 0.2500  0.25 steps/s  0:40 gone",
    ]


def test_validation_numbers_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    bar = LineProgress()
    bar.on_validation_end(trainer(7), None)  # type: ignore[arg-type]
    assert capsys.readouterr().out == "step 7  val/loss 0.5000  val/j_mean 0.7500\n"
    bar.disable()
    bar.on_validation_end(trainer(7), None)  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""


def test_bars_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: True)
    assert isinstance(progress_bar(), RichProgressBar)
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: False)
    assert isinstance(progress_bar(), LineProgress)
