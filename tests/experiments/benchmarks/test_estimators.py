"""``estimators``: variance and bias of the gradient against what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.benchmarks.estimators import gradient_statistics
from experiments.cli import main
from lightning_modules.estimators import Estimator, Exact, Gumbel, Importance, LeaveOneOut

LIVE = torch.tensor([True, True, True, False])


def statistics(estimator: Estimator, draws: int = 4000) -> tuple[float, float, int]:
    torch.manual_seed(0)
    density = torch.tensor([[1.0, 2.0, 4.0, 0.0]])
    logit = torch.tensor([[0.0, 0.5, -0.5, float("-inf")]])
    found = gradient_statistics(density, logit, LIVE, estimator, draws)
    return found.variance, found.bias, found.passes


def test_the_exact_estimator_has_no_variance_and_costs_every_live_cell() -> None:
    assert statistics(Exact(), 3) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-6), 3)


def test_variance_falls_as_one_over_the_draws() -> None:
    one, four = statistics(Importance(1, 0.01))[0], statistics(Importance(4, 0.01))[0]
    assert one / four == pytest.approx(4, rel=0.2)


def test_a_control_variate_helps_and_gumbel_is_biased() -> None:
    assert statistics(LeaveOneOut(4, 0.01))[0] < statistics(Importance(4, 0.01))[0]
    assert statistics(Importance(1, 0.01))[1] < 0.1 and statistics(Gumbel(1))[1] > 0.1


def test_the_command_prints_every_estimator(
    tmp_path: Path, fit_arguments: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(tmp_path, stage)) == 0
    assert main(["estimators", str(tmp_path), "--draws", "3", "--batches", "1"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("Importance", "Uniform", "LeaveOneOut", "Gumbel", "Exact"))
