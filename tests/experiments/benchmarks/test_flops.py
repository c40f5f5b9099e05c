"""``flops``: the sizes of both profiles, counted by hand where that is easy."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from experiments.benchmarks.flops import StepFlops, measure, profile_costs
from experiments.cli import main
from experiments.runs.trainers import measuring_trainer


def test_one_convolution_by_hand() -> None:
    cost = measure("conv", nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.zeros(1, 3, 10, 20))
    assert cost.parameters == 3 * 8 * 9
    assert cost.flops == 2 * 3 * 8 * 9 * 10 * 20
    assert cost.size == (10, 20)


class OneLayer(pl.LightningModule):
    """A convolution, whose input needs no gradient: backward costs as much as forward."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        return self.layer(batch["image"]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize(("steps", "counted"), [(3, 2 * 2 * 3 * 8 * 9 * 10 * 20), (1, None)])
def test_a_training_step_by_hand(steps: int, counted: float | None, tmp_path: Path) -> None:
    counter = StepFlops()
    batches = torch.utils.data.DataLoader([{"image": torch.rand(5, 3, 10, 20)}] * 4, batch_size=None)  # type: ignore[arg-type]
    measuring_trainer([counter], tmp_path, accelerator="cpu", max_steps=steps).fit(OneLayer(), batches)
    assert counter.per_image == counted


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
