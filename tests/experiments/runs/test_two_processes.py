"""``fit`` in two gloo processes, as a user starts it: both stages, and every file is written once."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.runs.folder import StageFolder

FitArguments = Callable[..., list[str]]


def fit(root: Path, arguments: list[str], strategy: str = "ddp") -> str:
    """Run ``python -m experiments fit`` on two processes; its output."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    several = ["--trainer.devices=2", f"--trainer.strategy={strategy}", "--trainer.log_every_n_steps=1"]
    command = [sys.executable, "-m", "experiments", *arguments, *several]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_files(folder: StageFolder, steps: int) -> None:
    """One row a step in the log, one validation, whole checkpoints, one sheet, nothing unfinished."""
    with (folder.path / "csv" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name, wanted in (("train/loss", list(range(steps))), ("val/loss", [steps - 1])):
        assert [int(row["step"]) for row in rows if row.get(name)] == wanted
    checkpoints = sorted(path.name for path in folder.checkpoints.iterdir())
    assert checkpoints == ["best.ckpt", "last.ckpt"]
    for name in checkpoints:
        assert torch.load(folder.checkpoints / name, weights_only=True)["global_step"] == steps
    assert [path.name for path in folder.images.iterdir()] == [f"val_step_{steps:06d}.png"]
    assert folder.config()["trainer"]["devices"] == "2"
    assert not list(folder.path.rglob("*.part")) and not (folder.path / "lightning_logs").exists()


@pytest.mark.slow
def test_both_stages_train_in_two_processes(root: Path, tmp_path: Path, fit_arguments: FitArguments) -> None:
    for stage in ("inpaint", "segment"):
        shown = fit(root, fit_arguments(tmp_path, stage))
        assert shown.count("done at step 2") == 1
        check_files(StageFolder(tmp_path / stage), 2)


@pytest.mark.slow
def test_background_only_trains_in_two_processes(
    root: Path, trained: Path, tmp_path: Path, fit_arguments: FitArguments
) -> None:
    """``S`` learns nothing then, and ``ddp`` refuses parameters without a gradient at the second step."""
    arguments = fit_arguments(tmp_path, "segment", "--ablation=background_only")
    inpainter = f"--model.init_args.inpainter_ckpt={StageFolder(trained / 'inpaint').last}"
    fit(root, [*arguments, inpainter], strategy="ddp")
    check_files(StageFolder(tmp_path / "segment"), 2)
