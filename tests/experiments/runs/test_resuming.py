"""A training that is stopped at any step and gone on with ends as one that was not: same weights, same log, exactly.

The right value is the uninterrupted training's and nothing else: weights, the optimiser's state, Lightning's counters
and the rows of the log, bit for bit (torch 2.14.1 on the CPU, pytorch-lightning 2.6.6).
"""

from __future__ import annotations

import csv
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from backdrop.errors import RunError
from callbacks import MaskImages
from experiments.cli import main
from experiments.runs.checkpoints import BestCheckpoint, LastCheckpoint
from experiments.runs.folder import StageFolder, load_checkpoint
from experiments.runs.threads import keep_threads
from lightning_modules import InpaintingModule

FitArguments = Callable[..., list[str]]
STEPS = 8  # of epochs of fewer; a validation every second step


def signal_at(patch: pytest.MonkeyPatch, step: int, number: signal.Signals = signal.SIGTERM, times: int = 1) -> None:
    """Send this process a signal in the middle of the optimiser's step that comes after so many."""
    whole, sent = torch.optim.Adam.step, list[int]()

    def adam_step(self: torch.optim.Adam, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        loss = whole(self, *args, **kwargs)
        if not sent and max(int(state["step"]) for state in self.state.values()) == step + 1:
            sent.append(step)
            for _ in range(times):
                os.kill(os.getpid(), number)  # Adam has counted this step, Lightning has not
        return loss

    patch.setattr(torch.optim.Adam, "step", adam_step)


def break_validation(patch: pytest.MonkeyPatch, step: int, break_it: Callable[[], None]) -> None:
    """Do something in the validation after so many steps."""
    whole = InpaintingModule.validation_step

    def validation_step(self: InpaintingModule, batch: Any, batch_idx: int) -> Any:  # noqa: ANN401
        if self.trainer.global_step == step:
            break_it()
        return whole(self, batch, batch_idx)

    patch.setattr(InpaintingModule, "validation_step", validation_step)


def often(patch: pytest.MonkeyPatch, steps: int) -> None:
    """Write the last checkpoint after every few steps."""
    patch.setattr(LastCheckpoint, "every_n_train_steps", property(lambda _: steps, lambda *_: None), raising=False)


def adam_steps(folder: StageFolder) -> set[int]:
    """Steps that the optimiser of the last checkpoint has counted."""
    return {int(state["step"]) for state in load_checkpoint(folder.last)["optimizer_states"][0]["state"].values()}


def result(folder: StageFolder) -> dict[str, Any]:
    """What a training leaves behind."""
    found = load_checkpoint(folder.last)
    best = load_checkpoint(folder.checkpoints / "best.ckpt")
    with (folder.path / "csv" / "metrics.csv").open() as file:
        rows = [sorted((name, value) for name, value in row.items() if value) for row in csv.DictReader(file)]
    names = ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch", "loops")
    return {**{name: found[name] for name in names}, "best": best["state_dict"], "step of best": best["global_step"],
            "rows": sorted(rows)}  # fmt: skip


def difference(one: Any, two: Any) -> float:  # noqa: ANN401
    """The largest difference between two nested structures of the same keys; infinite where they are no numbers."""
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        return max((difference(one[name], two[name]) for name in one), default=0.0)
    if isinstance(one, list | tuple):
        assert len(one) == len(two)
        return max((difference(a, b) for a, b in zip(one, two, strict=True)), default=0.0)
    if isinstance(one, torch.Tensor):
        return float((one.double() - two.double()).abs().max()) if one.numel() else 0.0
    return 0.0 if one == two else float("inf")


def require_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """No digit differs; the message names the parts that do."""
    assert {name: difference(found[name], expected[name]) for name in expected} == dict.fromkeys(expected, 0.0)


def arguments_of(fit_arguments: FitArguments, trained: Path, run: Path, stage: str, *more: str) -> list[str]:
    """A training of more than an epoch, validated every second step."""
    found = [f"--trainer.max_steps={STEPS}", "--trainer.log_every_n_steps=1", "--trainer.val_check_interval=2"]
    if stage == "segment":
        found += [f"--model.init_args.inpainter_ckpt={trained}/inpaint/checkpoints/last.ckpt"]
    return fit_arguments(run, stage, *found, *more)


@pytest.fixture(scope="module")
def whole(
    fit_arguments: FitArguments, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    """What an uninterrupted training of a stage leaves behind."""
    known: dict[str, dict[str, Any]] = {}

    def find(stage: str) -> dict[str, Any]:
        if stage not in known:
            run = tmp_path_factory.mktemp("whole")
            assert main(arguments_of(fit_arguments, trained, run, stage)) == 0
            known[stage] = result(StageFolder(run / stage))
            assert known[stage]["epoch"] >= 1
        return known[stage]

    return find


Whole = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("stage", ["inpaint", "segment"])
def test_a_training_that_is_stopped_again_and_again_ends_as_one_that_is_not(
    stage: str,
    workers: int,
    whole: Whole,
    tmp_path: Path,
    trained: Path,
    fit_arguments: FitArguments,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A signal within an optimiser's step waits for its end: after n steps Adam has counted n, not n + 1."""
    arguments = arguments_of(fit_arguments, trained, tmp_path, stage, f"--data.init_args.num_workers={workers}")
    folder = StageFolder(tmp_path / stage)
    for step in (0, 1, 2, 3, 6) if (stage, workers) == ("inpaint", 0) else (2, 5):
        with monkeypatch.context() as patch:
            signal_at(patch, step)
            assert main(arguments) == 143
        assert load_checkpoint(folder.last)["global_step"] == step + 1
        assert adam_steps(folder) == {step + 1}
    assert main(arguments) == 0
    require_equal(result(folder), whole(stage))


def test_a_training_goes_on_with_as_many_threads_as_it_began_with(
    whole: Whole,
    tmp_path: Path,
    trained: Path,
    fit_arguments: FitArguments,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Their number decides the order of sums: without it the weights differ in a digit that Adam makes larger."""
    whole("segment")
    arguments, begun = arguments_of(fit_arguments, trained, tmp_path, "segment"), torch.get_num_threads()
    with monkeypatch.context() as patch:
        signal_at(patch, 2)
        assert main(arguments) == 143
    try:
        torch.set_num_threads(begun + 1)
        assert main(arguments) == 0
        assert torch.get_num_threads() == begun
    finally:
        torch.set_num_threads(begun)
    assert f"goes on with as many threads as it began with, {begun}" in capsys.readouterr().err
    require_equal(result(StageFolder(tmp_path / "segment")), whole("segment"))


def test_a_training_that_began_with_more_threads_than_there_are_cores_says_what_that_changes(
    capsys: pytest.CaptureFixture[str]
) -> None:
    before = torch.get_num_threads()
    assert keep_threads(10**6) == torch.get_num_threads() == before
    assert "began with 1000000 threads" in capsys.readouterr().err
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})  # as taskset or a scheduler does: other cores of the machine are not its own
    try:
        assert keep_threads(before + 1) == torch.get_num_threads() == before
    finally:
        os.sched_setaffinity(0, mine)
    assert "more than the cores that it may use now, 1:" in capsys.readouterr().err


@pytest.mark.parametrize("begun", ["x", -1, 0, 2.5, True])
def test_what_is_no_number_of_threads_is_refused(begun: Any) -> None:  # noqa: ANN401
    with pytest.raises(RunError, match=f"run.threads in the config of this training is {begun!r}, expected 1 or more"):
        keep_threads(begun)


def test_a_training_by_epochs_goes_on_exactly_too(
    tmp_path: Path, fit_arguments: FitArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cosine needs the length of an epoch, for which Lightning makes the loader before it restores its counters."""
    more = ["--trainer.max_steps=-1", "--trainer.max_epochs=2", "--trainer.log_every_n_steps=1"]
    assert main(fit_arguments(tmp_path / "whole", "inpaint", *more)) == 0
    expected = result(StageFolder(tmp_path / "whole" / "inpaint"))
    assert expected["epoch"] == 2 and expected["global_step"] > 4
    arguments = fit_arguments(tmp_path / "stopped", "inpaint", *more)
    for step in (0, expected["global_step"] // 2 - 1, expected["global_step"] - 2):  # the second ends an epoch
        with monkeypatch.context() as patch:
            signal_at(patch, step)
            assert main(arguments) == 143
    assert main(arguments) == 0
    require_equal(result(StageFolder(tmp_path / "stopped" / "inpaint")), expected)


def test_a_stopped_or_killed_validation_is_made_anew(
    whole: Whole, tmp_path: Path, trained: Path, fit_arguments: FitArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends a validation at once; what dies in the last one has not finished, and best.ckpt is not the older."""
    arguments, folder = arguments_of(fit_arguments, trained, tmp_path, "inpaint"), StageFolder(tmp_path / "inpaint")
    with monkeypatch.context() as patch:
        break_validation(patch, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert main(arguments) == 130
    assert load_checkpoint(folder.last)["global_step"] == 4
    with monkeypatch.context() as patch:  # its losses are in the log already
        patch.setattr(MaskImages, "on_validation_end", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        assert main(arguments) == 130
    assert load_checkpoint(folder.last)["global_step"] == 4
    often(monkeypatch, 3)
    with monkeypatch.context() as patch:
        break_validation(patch, STEPS, lambda: (_ for _ in ()).throw(MemoryError))
        assert main(arguments) == 1
    assert load_checkpoint(folder.last)["global_step"] == 6
    moved = folder.path.parent.rename(tmp_path.parent / f"{tmp_path.name}_moved")
    arguments = [word.replace(str(tmp_path), str(moved)) for word in arguments]
    assert main(arguments) == 0
    require_equal(result(StageFolder(moved / "inpaint")), whole("inpaint"))


def damage(path: Path, how: str) -> None:
    """Harm a checkpoint as a full disk, a failing one or a kill between two renames do."""
    if how == "missing":
        path.unlink()
    elif how == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        with zipfile.ZipFile(path) as archive:
            largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        content = bytearray(path.read_bytes())
        content[largest.header_offset + largest.file_size // 2] ^= 1
        path.write_bytes(content)


def test_a_damaged_checkpoint_is_replaced_by_the_one_before_it(
    whole: Whole,
    tmp_path: Path,
    trained: Path,
    fit_arguments: FitArguments,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One flipped bit is found by the check sums that torch writes into its archives (CRC-32, read by zipfile)."""
    arguments, folder = arguments_of(fit_arguments, trained, tmp_path, "inpaint"), StageFolder(tmp_path / "inpaint")
    often(monkeypatch, 2)
    with monkeypatch.context() as patch:
        break_validation(patch, 6, lambda: (_ for _ in ()).throw(MemoryError))
        assert main(arguments) == 1
    damage(folder.last, "bit")
    capsys.readouterr()
    assert main(arguments) == 0
    shown = capsys.readouterr()
    said = f"warning: {folder.last} is damaged: the training goes on from the checkpoint before it, former.ckpt.\n"
    assert said in shown.err and "resumed at step 2" in shown.out
    require_equal(result(folder), whole("inpaint"))


def test_a_second_ctrl_c_ends_at_once_and_keeps_the_checkpoint(
    tmp_path: Path, trained: Path, fit_arguments: FitArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, folder = arguments_of(fit_arguments, trained, tmp_path, "inpaint"), StageFolder(tmp_path / "inpaint")
    often(monkeypatch, 3)
    signal_at(monkeypatch, 3, signal.SIGINT, times=2)
    assert main(arguments) == 130
    assert load_checkpoint(folder.last)["global_step"] == 3 and adam_steps(folder) == {3}


@pytest.mark.parametrize("how", ["missing", "cut", "bit"])
def test_whatever_harms_the_last_checkpoint_is_mended(how: str, tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    folder.checkpoints.mkdir()
    for step, name in ((1, "former.ckpt"), (2, "last.ckpt")):
        torch.save({"state_dict": {"w": torch.arange(5000.0)}, "global_step": step}, folder.checkpoints / name)
    assert folder.mend() is None and load_checkpoint(folder.last)["global_step"] == 2
    damage(folder.last, how)
    what = "missing" if how == "missing" else "damaged"
    assert folder.mend() == (
        f"{folder.last} is {what}: the training goes on from the checkpoint before it, former.ckpt."
    )
    assert load_checkpoint(folder.last)["global_step"] == 1
    assert [path.name for path in folder.checkpoints.iterdir()] == ["last.ckpt"]


def test_a_moved_run_keeps_its_best_score(tmp_path: Path) -> None:
    paths = {name: f"/old/{name}.ckpt" for name in ("best", "last")}
    state = {
        "dirpath": "/old", "best_model_score": torch.tensor(0.5), "best_model_path": paths["best"],
        "best_k_models": {paths["best"]: torch.tensor(0.5)}, "kth_best_model_path": paths["best"],
        "kth_value": torch.tensor(0.5), "last_model_path": "",
    }  # fmt: skip
    moved = BestCheckpoint(str(tmp_path))
    moved.load_state_dict(state)
    assert moved.best_model_score is None  # best.ckpt was left behind: any score is the best
    (tmp_path / "best.ckpt").touch()
    moved.load_state_dict(state)
    here = str(tmp_path / "best.ckpt")
    assert (moved.best_model_path, moved.kth_best_model_path, list(moved.best_k_models)) == (here, here, [here])
    assert moved.best_model_score == 0.5
