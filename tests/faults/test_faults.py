"""Full disks, read-only folders, dead loaders and processes, no memory, NaN: one sentence, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backdrop.errors import in_words
from experiments.runs.folder import require_whole
from lightning_modules import InpaintingModule
from tests.faults.commands import Ended, Fault, call, no_fault
from tests.faults.test_kills import half_written

pytestmark = pytest.mark.slow
FitArguments = Callable[..., list[str]]
Fit = Callable[..., Ended]


@pytest.fixture
def fit(root: Path, tmp_path: Path, fit_arguments: FitArguments, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Train stage 1 in a process of its own, with a checkpoint after every second step."""
    monkeypatch.setenv("PYTHONPATH", str(root))

    def train(fault: Fault = no_fault, *more: str, run: Path | None = None) -> Ended:
        words = fit_arguments(run or tmp_path / "run", "inpaint", "--trainer.max_steps=6", *more)
        return call(words, tmp_path, fault=fault, BACKDROP_CACHE=str(tmp_path / "store"))

    return train


def _at_step(step: int, do: Callable[[dict[str, Any]], None]) -> None:
    """Write a checkpoint after every second step, and do something with what a step gives."""
    from experiments.runs.checkpoints import LastCheckpoint

    LastCheckpoint.every_n_train_steps = property(lambda _: 2, lambda *_: None)  # type: ignore[assignment, misc]
    whole = InpaintingModule.training_step

    def training_step(self: InpaintingModule, batch: Any, batch_idx: int) -> Any:  # noqa: ANN401
        found: Any = whole(self, batch, batch_idx)
        if self.trainer.global_step == step:
            do(found)
        return found

    InpaintingModule.training_step = training_step  # type: ignore[method-assign]


def _raise(error: BaseException) -> None:
    raise error


def nan_loss() -> None:
    """The loss of the fifth step is no number."""
    _at_step(4, lambda found: found.update(loss=found["loss"] * float("nan")))


def gpu_is_full() -> None:
    """What torch 2.14 raises on a GPU (c10/cuda/CUDACachingAllocator.cpp)."""
    text = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 11.00 GiB. Of the allocated"
    _at_step(4, lambda _: _raise(torch.OutOfMemoryError(text)))


def memory_is_full() -> None:
    """What torch really raises on the CPU where far more is asked for than there is."""
    _at_step(4, lambda _: torch.empty(2**60))  # type: ignore[arg-type, return-value]


def loader_dies() -> None:
    """The system kills a process of the loader, as where memory runs out."""
    _at_step(4, lambda _: [os.kill(child.pid or 0, signal.SIGKILL) for child in multiprocessing.active_children()])  # type: ignore[arg-type, return-value, func-returns-value]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (nan_loss, "error: the training loss is nan at step 4"),
        (gpu_is_full, "error: there is not enough memory (CUDA out of memory. Tried to allocate 20.00 GiB): lower "
                      "--data.init_args.batch_size"),
        (memory_is_full, "lower --data.init_args.batch_size, or --data.init_args.scale"),
        (loader_dies, "error: a process of the loader was killed"),
    ],
)  # fmt: skip
def test_a_fault_within_a_training_is_one_sentence_and_the_training_goes_on(
    fault: Fault, said: str, fit: Fit, tmp_path: Path
) -> None:
    more = ["--data.init_args.num_workers=1"] if fault is loader_dies else []
    found = fit(fault, *more)
    assert found.code == 1 and said in found.error and "Traceback" not in found.said
    last = tmp_path / "run" / "inpaint" / "checkpoints" / "last.ckpt"
    assert require_whole(last)["global_step"] in (2, 4)  # the one before the fault
    found = fit(no_fault, *more)
    assert found.code == 0 and "resumed at step" in found.said
    assert require_whole(last)["global_step"] == 6


def test_memory_that_python_and_numpy_lack_is_named_too() -> None:
    with pytest.raises(MemoryError) as numpys:  # NumPy 2.4
        np.zeros(2**59)
    for error in (numpys.value, MemoryError()):
        assert in_words(error).startswith("there is not enough memory (") and "batch_size" in in_words(error)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A small disk of its own in memory, of so many megabytes, that can be mounted anew with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def mount(options: str) -> Path:
        nonlocal mounted
        words = ["mount", "-t", "tmpfs", "-o", f"{'remount,' if mounted else ''}{options}", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
            pytest.skip("this user may not mount a disk")
        mounted = True
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_training_on_a_full_disk_names_the_file_and_goes_on_when_there_is_room(
    disk: Callable[[str], Path], fit: Fit
) -> None:
    """tmpfs(5) of 3 MB, a checkpoint has 6."""
    run = disk("size=3m") / "run"
    found = fit(run=run)
    assert found.code == 1 and "No space left on device" in found.error and str(run) in found.error
    assert half_written(run) == []
    disk("size=64m")
    assert fit(run=run).code == 0 and require_whole(run / "inpaint" / "checkpoints" / "last.ckpt")["global_step"] == 6


@pytest.mark.parametrize("state", ["size=100k", "ro,size=64m"])
def test_what_cannot_be_written_is_one_sentence_and_harms_no_result(
    state: str,
    disk: Callable[[str], Path],
    tmp_path: Path,
    trained: Path,
    davis: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that is full, or read-only, under a run that was evaluated; no command takes a result away."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    run = disk("size=64m") / "run"
    shutil.copytree(trained, run)
    store = {"BACKDROP_CACHE": str(tmp_path / "store")}
    bear = str(davis / "JPEGImages" / "480p" / "bear")
    image = next(Path(bear).iterdir())
    data = ["--data=davis", f"--data.init_args.root={davis}", "--data.init_args.image_size=[64, 64]"]
    commands = {
        "evaluate": ["evaluate", str(run)],
        "baselines": ["baselines", str(run), "--method", "mog2", *data],
        "predict": ["predict", str(run), bear],
        "predict, several": ["predict", str(run), bear, str(image), f"--output={run}/several", "--save=soft"],
        "label": ["label", str(run), bear, f"--output={run}/labels", "--threshold=0.001", "--overwrite"],
        "export": ["export", str(run), f"--output={run}/subject.onnx", "--frames=1"],
        "report": ["report", str(run)],
        "table": ["table", str(run), f"--output={run}/table.md"],
    }
    assert call(commands["evaluate"], tmp_path, **store).code == 0
    if state.startswith("size"):
        used = sum(path.stat().st_blocks * 512 for path in run.rglob("*"))
        state = f"size={used // 1024 + 8}k"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    disk(state)
    for name, words in commands.items():
        found = call(words, tmp_path, **store)
        if found.code == 0 and not state.startswith("ro"):  # as large as before: it had room
            continue
        refused = [line for line in found.said.splitlines() if line.startswith(("error: ", "mog2: left out: "))]
        assert found.code == 1 and len(refused) == 1 and str(run) in refused[0], (name, found.said)
    assert half_written(run) == []
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert not [path for path in before if path not in after]
    disk("rw,size=64m")
    for words in commands.values():
        assert call(words, tmp_path, **store).code == 0
