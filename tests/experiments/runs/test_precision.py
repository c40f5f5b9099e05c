"""A training computes in bfloat16 only where that pays, and goes on in the precision that it began with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    assert main(wants_bf16()) == 0
    assert trained_in(tmp_path) == "32-true"
    assert "This processor has no bfloat16" in capsys.readouterr().err


def test_a_fast_processor_computes_in_bfloat16(
    wants_bf16: FitArguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: True)
    assert main(wants_bf16()) == 0
    assert trained_in(tmp_path) == "bf16-mixed"


def test_the_command_line_decides(
    wants_bf16: FitArguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    assert main(wants_bf16("--trainer.precision", "bf16-mixed")) == 0
    assert trained_in(tmp_path) == "bf16-mixed"


def test_a_training_goes_on_in_its_precision_on_another_machine(
    wants_bf16: FitArguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    assert main(wants_bf16()) == 0
    monkeypatch.setattr(precision, "has_bf16", lambda: True)
    assert main(wants_bf16("--trainer.max_steps", "3")) == 0
    progress = StageFolder(tmp_path / "inpaint").progress()
    assert progress is not None and progress.step == 3
    assert trained_in(tmp_path) == "32-true"


def test_a_gpu_does_not_ask_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    assert precision.slow_bf16("cpu") and not precision.slow_bf16("cuda")


AGREED = """
import os, sys
import torch
from experiments.runs.precision import agreed

rank = int(os.environ.get("RANK") or os.environ["SLURM_PROCID"])
own = ["bf16-mixed", "32-true"][rank]
print(own, "becomes", agreed(lambda: own, devices=2), flush=True)
os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_PORT=os.environ["MASTER_PORT"])
torch.distributed.init_process_group("gloo")  # as the training does then, at the same address
torch.distributed.barrier()
print("both trained", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_processes_that_a_launcher_starts_compute_in_the_precision_of_the_first(
    launcher: str, root: Path, tmp_path: Path
) -> None:
    """Variables as the manuals of torchrun and srun say; each process would choose another precision."""
    script = tmp_path / "agreed.py"
    script.write_text(AGREED)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "PYTEST"))}
    kept |= {"PYTHONPATH": str(root)}
    if launcher == "torchrun":
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
        started = [subprocess.Popen(command, env=kept, stdout=subprocess.PIPE, text=True)]
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        task = {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "127.0.0.1", "SLURM_NODEID": "0"}
        task |= {"MASTER_PORT": port, "MASTER_ADDR": "127.0.0.1", "SLURM_STEP_NUM_TASKS": "2"}
        task |= {"SLURM_NTASKS_PER_NODE": "2"}  # which Lightning wants
        started = [
            subprocess.Popen(
                [sys.executable, str(script)],
                env={**kept, **task, "SLURM_PROCID": rank, "SLURM_LOCALID": rank},
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in "10"  # the second begins
        ]
    lines = sorted(line for process in started for line in process.communicate()[0].splitlines())
    assert [process.returncode for process in started] == [0] * len(started)
    assert lines == ["32-true becomes bf16-mixed", "bf16-mixed becomes bf16-mixed", "both trained", "both trained"]
