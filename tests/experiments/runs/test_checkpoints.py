"""Checkpoints are written beside their targets, whole or not at all; one process trains in a run folder."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from backdrop.errors import RunError
from backdrop.locks import sole
from experiments.cli import main
from experiments.prediction.folder import new_prediction
from experiments.runs.checkpoints import WholeCheckpoints
from experiments.runs.csv_log import ResumedCSVLogger

FitArguments = Callable[..., list[str]]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse larger files, as a full disk does (setrlimit(2); Python ignores SIGXFSZ)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_checkpoint_before_is_kept_and_nothing_else_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the target's folder is written into: one for temporary files that does not exist changes nothing."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    for step in (1, 2, 3):
        for name in ("last.ckpt", "best.ckpt"):
            WholeCheckpoints().save_checkpoint({"global_step": step}, tmp_path / name)
    found = {path.name: torch.load(path)["global_step"] for path in tmp_path.iterdir()}
    assert found == {"last.ckpt": 3, "former.ckpt": 2, "best.ckpt": 3}


def test_a_disk_that_fills_names_the_file_and_harms_no_checkpoint(tmp_path: Path) -> None:
    last = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"global_step": 1}, last)
    with largest_file(10_000), pytest.raises(OSError, match=r"File too large: '.*last\.ckpt'"):
        WholeCheckpoints().save_checkpoint({"global_step": 2, "weights": torch.zeros(9_000)}, last)
    assert torch.load(last)["global_step"] == 1 and os.listdir(tmp_path) == ["last.ckpt"]


def test_a_disk_that_fills_names_the_log(tmp_path: Path) -> None:
    logger = ResumedCSVLogger(tmp_path)
    for step in range(2000):
        logger.experiment.log_metrics({"train/loss": 1.0}, step)
    with largest_file(5_000), pytest.raises(OSError, match=r"File too large: '.*metrics\.csv'"):
        logger.save()


HOLD = """
import os, sys
from pathlib import Path
from backdrop.locks import sole
with sole(Path(sys.argv[1])) as free:
    if os.fork() == 0:
        os.close(1)
        sys.stdin.read()  # a loader that outlives the process
        os._exit(0)
    print(free, flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held(path: Path, root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock, and has forked another."""
    words = [sys.executable, "-c", HOLD, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, cwd=root, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "True\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_training_in_a_run_is_refused(
    tmp_path: Path, root: Path, fit_arguments: FitArguments, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(tmp_path / "inpaint" / ".training", root):
        assert main(fit_arguments(tmp_path, "inpaint")) == 1
    error = capsys.readouterr().err
    said = f"error: Another process trains in {tmp_path}/inpaint: wait for its end, or choose another run folder.\n"
    assert said in error
    assert os.listdir(tmp_path / "inpaint") == [".training"]


def test_a_second_prediction_into_a_folder_is_refused(tmp_path: Path, root: Path) -> None:
    with held(tmp_path / ".writing", root), pytest.raises(RunError, match="choose another output folder"):
        with new_prediction(tmp_path):
            pytest.fail("not alone")


def test_a_killed_process_lets_go_at_once(tmp_path: Path, root: Path) -> None:
    """Those that it has forked may live on."""
    path = tmp_path / "lock"
    with held(path, root) as process:
        with sole(path) as free:
            assert not free
        process.kill()
        process.wait()
        with sole(path) as free:
            assert free
    assert not path.exists()


def test_what_is_no_checkpoint_is_refused_in_one_sentence(
    tmp_path: Path, fit_arguments: FitArguments, capsys: pytest.CaptureFixture[str]
) -> None:
    other, stage_2 = tmp_path / "weights.pt", tmp_path / "stage_2.ckpt"
    torch.save([1, 2], other)
    names = {"_class_path": "lightning_modules.SegmentationModule"}
    torch.save({"state_dict": {}, "global_step": 1, "hyper_parameters": names}, stage_2)
    text = tmp_path / "notes.txt"
    text.write_text("not this one")
    reasons = {
        other: "is no Lightning checkpoint.",
        text: "cannot be read as a checkpoint (",
        tmp_path / "x": "is missing.",
        stage_2: "is a checkpoint of lightning_modules.SegmentationModule, expected one of",
    }
    for path, reason in reasons.items():
        assert main([*fit_arguments(tmp_path / "run", "inpaint"), f"--ckpt_path={path}"]) == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert line.startswith(f"error: {path} {reason}") and len(line) < len(str(path)) + 130
