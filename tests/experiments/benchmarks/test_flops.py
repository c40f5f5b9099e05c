"""``flops``: the sizes of both profiles, counted by hand where that is easy."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from experiments.benchmarks.flops import measure, profile_costs
from experiments.cli import main


def test_one_convolution_by_hand() -> None:
    cost = measure("conv", nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.zeros(1, 3, 10, 20))
    assert cost.parameters == 3 * 8 * 9
    assert cost.flops == 2 * 3 * 8 * 9 * 10 * 20
    assert cost.size == (10, 20)


def test_the_small_profile_is_small() -> None:
    small, paper = profile_costs("small", "davis"), profile_costs("paper", "davis")
    assert [cost.name[0] for cost in small] == ["D", "S", "I"]
    assert small[2].size == (90, 160) and paper[2].size == (360, 640)
    assert sum(cost.flops for cost in paper) > 5 * sum(cost.flops for cost in small)


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flops", "--profile", "small"]) == 0
    shown = capsys.readouterr().out
    assert "D detector" in shown and "paper" not in shown and "96x128" in shown  # the demo's 384x512, at a quarter
    assert main(["flops", "--profile", "small", "--data", "davis"]) == 0
    assert "90x160" in capsys.readouterr().out
