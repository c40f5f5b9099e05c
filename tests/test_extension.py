"""A new background, estimator or prior is one class and one line of YAML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional

from experiments.cli import main
from experiments.runs.folder import StageFolder
from experiments.runs.restore import load_model
from lightning_modules import SegmentationModule
from lightning_modules.estimators import Estimator, Samples
from lightning_modules.objectives import Draw, Prior
from lightning_modules.scene import Scene, View


@dataclass(frozen=True)
class Blurred(Scene):
    radius: int = 3

    def fill(self, view: View, hole: Tensor) -> Tensor:
        blurred = functional.avg_pool2d(view.image, 2 * self.radius + 1, 1, self.radius)
        return torch.lerp(view.image, blurred, hole)


@dataclass(frozen=True)
class MostProbable(Estimator):
    def draw(self, probability: Tensor, live: Tensor, generator: Generator | None = None) -> Samples:
        value, cell = probability.max(dim=1, keepdim=True)
        return Samples(cell, value / value.detach())


@dataclass(frozen=True)
class SquareBoxes(Prior):
    def __call__(self, draw: Draw) -> Tensor:
        return self.weight * (draw.flat[:, 2] - draw.flat[:, 3]).square().mean()


LINES = {
    Blurred: f"model: {{init_args: {{scene: {{class_path: {__name__}.Blurred, init_args: {{radius: 2}}}}}}}}",
    MostProbable: f"model: {{init_args: {{estimator: {{class_path: {__name__}.MostProbable}}}}}}",
    SquareBoxes: f"model: {{init_args: {{own_prior: {{class_path: {__name__}.SquareBoxes, init_args: {{weight: 2}}}}}}}}",  # noqa: E501
}


@pytest.mark.parametrize("kind", LINES, ids=lambda kind: kind.__name__)
def test_one_class_and_one_line_are_enough(
    kind: type, tmp_path: Path, trained: Path, fit_arguments: Callable[..., list[str]]
) -> None:
    (tmp_path / "mine.yaml").write_text(LINES[kind])
    inpainter = f"--model.init_args.inpainter_ckpt={trained}/inpaint/checkpoints/last.ckpt"
    more = [inpainter, "--config", str(tmp_path / "mine.yaml"), "--trainer.log_every_n_steps=1"]
    assert main(fit_arguments(tmp_path / "run", "segment", *more)) == 0
    folder = StageFolder(tmp_path / "run" / "segment")
    progress = folder.progress()
    assert progress is not None and progress.step == 2
    model = load_model(folder)
    assert isinstance(model, SegmentationModule)
    used = {Blurred: model.scene, MostProbable: model.estimator, SquareBoxes: model.terms.get("prior_own")}[kind]
    assert type(used).__name__ == kind.__name__
    if kind is SquareBoxes:
        assert "train/loss_prior_own" in (folder.path / "csv" / "metrics.csv").read_text()
