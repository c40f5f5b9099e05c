"""``fit`` in two gloo processes, as a user starts it: both stages, and every file is written once."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.runs.folder import StageFolder, load_checkpoint

FitArguments = Callable[..., list[str]]


def begin(root: Path, arguments: list[str], strategy: str = "ddp") -> subprocess.Popen[str]:
    """Start ``python -m experiments fit`` on two processes, as a group of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    several = ["--trainer.devices=2", f"--trainer.strategy={strategy}", "--trainer.log_every_n_steps=1"]
    command = [sys.executable, "-m", "experiments", *arguments, *several]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def fit(root: Path, arguments: list[str], strategy: str = "ddp") -> str:
    """Run ``python -m experiments fit`` on two processes to its end; its output."""
    with begin(root, arguments, strategy) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    return output


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


PRECISIONS = """
import os, sys
from experiments.runs import precision
from experiments.runs.lightning_cli import ExperimentCLI
from experiments.cli import main

precision.has_bf16 = lambda: os.environ.get("LOCAL_RANK") == "1"
fit = ExperimentCLI.fit

def said(self, **kwargs):
    print("computes in", self.trainer.precision, flush=True)
    fit(self, **kwargs)

ExperimentCLI.fit = said
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_processes_that_judge_differently_compute_in_one_precision(
    root: Path, tmp_path: Path, fit_arguments: FitArguments
) -> None:
    """As on two machines of which one has bfloat16."""
    script, config = tmp_path / "fit.py", tmp_path / "bf16.yaml"
    script.write_text(PRECISIONS)
    config.write_text("trainer:\n  precision: bf16-mixed\n")
    arguments = [*fit_arguments(tmp_path, "inpaint", f"--config={config}"), "--trainer.devices=2"]
    command = [sys.executable, str(script), *arguments, "--trainer.strategy=ddp"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment = {**kept, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("computes in 32-true") == 2


@pytest.mark.slow
def test_background_only_trains_in_two_processes(
    root: Path, trained: Path, tmp_path: Path, fit_arguments: FitArguments
) -> None:
    """``S`` learns nothing then, and ``ddp`` refuses parameters without a gradient at the second step."""
    arguments = fit_arguments(tmp_path, "segment", "--ablation=background_only")
    inpainter = f"--model.init_args.inpainter_ckpt={StageFolder(trained / 'inpaint').last}"
    fit(root, [*arguments, inpainter], strategy="ddp")
    check_files(StageFolder(tmp_path / "segment"), 2)


@pytest.mark.slow
def test_two_processes_that_are_killed_go_on_exactly(root: Path, tmp_path: Path, fit_arguments: FitArguments) -> None:
    """Killed between two steps of which every one is saved; the right value is the uninterrupted training's.

    torch 2.14 on the CPU (gloo), pytorch-lightning 2.6.6.
    """
    often = tmp_path / "often.yaml"
    often.write_text(
        "trainer:\n  callbacks:\n"
        "    - class_path: experiments.runs.checkpoints.LastCheckpoint\n      init_args: {every_n_train_steps: 1}\n"
        "    - class_path: experiments.runs.checkpoints.BestCheckpoint\n"
    )
    steps = 12
    more = ["--config", str(often), f"--trainer.max_steps={steps}", "--trainer.val_check_interval=4"]
    whole, cut = (fit_arguments(tmp_path / name, "inpaint", *more) for name in ("whole", "cut"))
    fit(root, whole)
    folder = StageFolder(tmp_path / "cut" / "inpaint")
    with begin(root, cut) as process:
        while process.poll() is None and not folder.last.is_file():
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)  # the two of them
    stopped = folder.progress()
    assert stopped is not None and 0 < stopped.step < steps
    assert f"resumed at step {stopped.step}" in fit(root, cut)
    found, expected = (load_checkpoint(tmp_path / name / "inpaint/checkpoints/last.ckpt") for name in ("cut", "whole"))
    assert found["global_step"] == expected["global_step"] == steps
    assert found["state_dict"].keys() == expected["state_dict"].keys()
    assert all(torch.equal(found["state_dict"][name], value) for name, value in expected["state_dict"].items())


@pytest.mark.slow
@pytest.mark.parametrize("first_dies", [False, True])
def test_where_one_of_two_processes_is_killed_the_other_ends_and_the_training_goes_on(
    first_dies: bool, root: Path, tmp_path: Path, fit_arguments: FitArguments
) -> None:
    """gloo of torch 2.14 on the CPU; a process that still waits for the other one after a minute waits for ever."""
    often = tmp_path / "often.yaml"
    callback = "experiments.runs.checkpoints.LastCheckpoint"
    often.write_text(f"trainer: {{callbacks: [{{class_path: {callback}, init_args: {{every_n_train_steps: 1}}}}]}}\n")
    arguments = fit_arguments(tmp_path, "inpaint", "--config", str(often))
    folder = StageFolder(tmp_path / "inpaint")
    with begin(root, [*arguments, "--trainer.max_steps=100000"]) as process:
        while process.poll() is None and not folder.last.is_file():
            time.sleep(0.02)
        (second,) = trainings_of(process.pid)
        os.kill(process.pid if first_dies else second, signal.SIGKILL)
        process.communicate(timeout=60)  # both hold the pipe
    assert process.returncode != 0
    stopped = folder.progress()
    assert stopped is not None
    fit(root, [*arguments, f"--trainer.max_steps={stopped.step + 2}"])
    goes_on = folder.progress()
    assert goes_on is not None and goes_on.step == stopped.step + 2


def trainings_of(process: int) -> list[int]:
    """The processes of Python that a process has started for its training."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(one) for one in found if b"experiments" in Path(f"/proc/{one}/cmdline").read_bytes()]
