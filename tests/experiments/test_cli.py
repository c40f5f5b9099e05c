"""The command line: one sentence for every mistake; finished stages are skipped, interrupted ones resumed."""

from __future__ import annotations

import csv
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from docstring_parser import parse

from backdrop import __version__
from experiments.benchmarks import flops
from experiments.cli import COMMANDS, FIRST, load, main
from experiments.runs import provenance
from experiments.runs.folder import StageFolder
from lightning_modules import InpaintingModule

FitArguments = Callable[..., list[str]]


def refusal(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int) -> str:
    """Run a command that must fail; its one line on stderr."""
    capsys.readouterr()
    assert main(arguments) == code
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in error, error
    return lines[0]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S.*\.$", shown, re.MULTILINE)
    assert main([]) == 2


def test_the_users_commands_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    first, research = capsys.readouterr().out.split("For research")
    for command in COMMANDS:
        assert (f"\n  {command} " in first) == (command in FIRST)
        assert (f"\n  {command} " in research) == (command not in FIRST)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"backdrop {__version__}\n"


def test_help_and_a_wrong_command_import_no_library(root: Path) -> None:
    code = (
        "import sys; from experiments.cli import main; main(sys.argv[1:])\n"
        "sys.exit(bool({'torch', 'numpy', 'jsonargparse', 'pytorch_lightning'} & set(sys.modules)))"
    )
    for words in (["--help"], ["--version"], ["fitt"]):
        done = subprocess.run([sys.executable, "-c", code, *words], cwd=root, capture_output=True, check=False)
        assert done.returncode == 0


def test_who_reads_the_first_lines_only_sees_no_traceback(root: Path) -> None:
    command = f"{sys.executable} -u -m experiments --help | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("usage: ") and not done.stderr


@pytest.mark.parametrize("program", ["backdrop", "python -m experiments", "make"])
def test_messages_name_the_command_that_was_typed(
    program: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKDROP_PROGRAM", program)
    usual = "python -m experiments" if program == "make" else program  # make has no help of a command's options
    assert f"(see {usual} --help)" in refusal(capsys, ["xyz"], 2)
    assert f"(see {usual} evaluate --help)" in refusal(capsys, ["evaluate"], 2)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_parameter_of_a_command_is_documented(command: str) -> None:
    function = load(command)
    doc = parse(inspect.getdoc(function) or "")
    assert doc.short_description and doc.short_description.endswith(".")
    documented = {parameter.arg_name: parameter.description for parameter in doc.params}
    assert list(documented) == list(inspect.signature(function).parameters) and all(documented.values())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["xyz"], "There is no command xyz (see backdrop --help)"),
        (["evaluat"], "There is no command evaluat: did you mean evaluate?"),
        (["trian"], "There is no command trian: did you mean train?"),
        (["train"], "Which videos? backdrop train VIDEOS --run runs/NAME"),
        (["train", "nowhere.mp4"], "Nothing at nowhere.mp4"),
        (["train", "a.mp4", "--root", "b"], "a.mp4 and --root b both say where the data are"),
        (["predict"], "required"),
        (["evaluate"], "required"),
        (["flops", "--profile", "huge"], "huge"),
        (
            ["fit", "--config", "base.yaml", "--trainer.max_steps", "many"],
            "trainer.max_steps is many, expected a whole number (see backdrop fit --help)",
        ),
        (
            ["fit", "--config", "base.yaml", "--trainer.max_epochs", "few"],
            "trainer.max_epochs is few, expected a whole number or null",
        ),
        (
            ["fit", "--config", "base.yaml", "--trainer.max_stepz", "1"],
            "--trainer.max_stepz 1: did you mean max_steps? (see backdrop fit --help)",
        ),
        (
            ["prepare", "--config", "data/demo.yaml", "--data.init_args.preset", "drone"],
            "preset is drone, expected one of static, ptz, handheld (see backdrop prepare --help)",
        ),
        (["inspect", "--config", "data/demo.yaml", "--data.init_args.presett", "ptz"], "did you mean preset?"),
    ],
)
def test_wrong_arguments(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    assert expected in refusal(capsys, arguments, 2)


def test_an_unknown_config_lists_the_shipped_ones(capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, ["fit", "--config", "data/kinetics.yaml"], 1)
    assert "data/kinetics.yaml" in line and "data/demo.yaml" in line


def test_a_misspelt_setting_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments
) -> None:
    line = refusal(capsys, fit_arguments(tmp_path, "segment", "--model.init_args.mask_prior.lewel=1"), 2)
    assert "model.init_args.mask_prior: " in line and "'lewel' is not accepted: did you mean level?" in line
    assert "NoneType" not in line


def test_stage_2_before_stage_1_says_what_to_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments, davis: Path
) -> None:
    line = refusal(capsys, fit_arguments(tmp_path, "segment"), 1)
    assert "`backdrop fit --stage inpaint --data davis --profile small" in line
    assert f"--data.init_args.root {davis} --trainer.default_root_dir {tmp_path}/inpaint`" in line
    assert not (tmp_path / "segment").exists()


def test_stage_2_without_an_inpainter_says_what_to_pass(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments
) -> None:
    arguments = [a for a in fit_arguments(tmp_path, "segment") if "inpainter_ckpt" not in a]
    assert "--model.init_args.inpainter_ckpt" in refusal(capsys, arguments, 1)


def test_stage_2_over_something_else_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments
) -> None:
    inpainter = tmp_path / "inpaint" / "checkpoints" / "last.ckpt"
    inpainter.parent.mkdir(parents=True)
    inpainter.write_bytes(b"no checkpoint")
    assert "last.ckpt" in refusal(capsys, fit_arguments(tmp_path, "segment"), 1)


def test_missing_data_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments
) -> None:
    line = refusal(capsys, fit_arguments(tmp_path, "inpaint", f"--data.init_args.root={tmp_path}/nowhere"), 1)
    assert f"{tmp_path}/nowhere" in line
    assert not list(tmp_path.iterdir())


def test_a_failed_call_leaves_no_empty_folder(
    tmp_path: Path, fit_arguments: FitArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")  # whose logger makes the folder
    run = tmp_path / "runs" / "mine"
    assert main(fit_arguments(run, "inpaint", f"--data.init_args.root={tmp_path}/nowhere")) == 1
    assert not list(tmp_path.iterdir())


def test_the_saved_config_is_whole(trained: Path) -> None:
    saved = yaml.safe_load((trained / "segment" / "config_fit.yaml").read_text())
    assert saved["model"]["class_path"] == "lightning_modules.SegmentationModule"
    model = saved["model"]["init_args"]
    assert model["estimator"]["init_args"]["epsilon"] == 0.001  # from segment.yaml
    assert model["detector"]["backbone"] == "resnet18"  # a default
    assert saved["data"]["init_args"]["batch_size"] == 2  # from the command line
    assert len(saved["run"]["inpainter_sha256"]) == 64
    assert saved["trainer"]["callbacks"][0]["init_args"]["dirpath"] == str(trained / "segment" / "checkpoints")


def test_a_finished_stage_says_so(
    capsys: pytest.CaptureFixture[str], trained: Path, fit_arguments: FitArguments
) -> None:
    before = (trained / "inpaint" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    assert main(fit_arguments(trained, "inpaint")) == 0
    assert f"{trained / 'inpaint'} is finished (2 steps): nothing to do." in capsys.readouterr().out
    assert (trained / "inpaint" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before


def test_other_settings_are_refused(
    capsys: pytest.CaptureFixture[str], trained: Path, fit_arguments: FitArguments
) -> None:
    line = refusal(capsys, fit_arguments(trained, "inpaint", "--model.init_args.learning_rate=0.5"), 1)
    assert "model.init_args.learning_rate: 0.003 -> 0.5" in line and "choose another run folder" in line


def test_an_inpainter_that_was_trained_further(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments
) -> None:
    for stage, steps in (("inpaint", 2), ("segment", 2), ("inpaint", 3)):
        assert main(fit_arguments(tmp_path, stage, f"--trainer.max_steps={steps}")) == 0
    line = refusal(capsys, fit_arguments(tmp_path, "segment"), 1)
    folder = tmp_path / "segment"
    assert "was trained further, or replaced" in line and f"stage 2 must start anew: delete {folder}." in line
    line = refusal(capsys, fit_arguments(tmp_path, "segment", "--model.init_args.learning_rate=0.5"), 1)
    assert "-> 0.5; run.inpainter_sha256: another inpainter): choose another run folder" in line
    assert main(["evaluate", str(tmp_path)]) == 0
    (warning,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("warning: ")]
    assert f"{tmp_path}/inpaint and {folder} no longer belong together" in warning and "the older one" in warning
    shutil.rmtree(folder)
    assert main(fit_arguments(tmp_path, "segment")) == 0
    assert main(["evaluate", str(tmp_path)]) == 0
    assert "belong together" not in capsys.readouterr().err


def test_what_a_constructor_refuses_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments
) -> None:
    line = refusal(capsys, fit_arguments(tmp_path, "inpaint", "--data.init_args.scale=0"), 1)
    assert "expected above 0" in line and "Namespace" not in line and len(line) < 200


def test_a_dry_run_needs_no_logger(tmp_path: Path, fit_arguments: FitArguments) -> None:
    assert main(fit_arguments(tmp_path, "inpaint", "--trainer.fast_dev_run=true")) == 0
    assert not (tmp_path / "inpaint" / "checkpoints").exists()


def test_validate_and_test_leave_the_log_alone(trained: Path, fit_arguments: FitArguments) -> None:
    log = (trained / "segment" / "csv" / "metrics.csv").read_bytes()
    for command in ("validate", "test"):
        arguments = [command, *fit_arguments(trained, "segment")[1:]]
        assert main([*arguments, f"--ckpt_path={trained}/segment/checkpoints/last.ckpt"]) == 0
    assert (trained / "segment" / "csv" / "metrics.csv").read_bytes() == log


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, outcome: BaseException | float) -> None:
    """Let the training step raise, or return this loss, after so many optimiser steps."""
    whole = InpaintingModule.training_step

    def training_step(self: InpaintingModule, batch: Any, batch_idx: int) -> Any:  # noqa: ANN401
        if self.trainer.global_step < step:
            return whole(self, batch, batch_idx)
        if isinstance(outcome, BaseException):
            raise outcome
        return whole(self, batch, batch_idx)["loss"] * outcome

    monkeypatch.setattr(InpaintingModule, "training_step", training_step)


def signal_at(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Send this process a signal in the training step that comes after so many; the step is completed."""
    whole = InpaintingModule.training_step

    def training_step(self: InpaintingModule, batch: Any, batch_idx: int) -> Any:  # noqa: ANN401
        if self.trainer.global_step == step:
            os.kill(os.getpid(), number)
        return whole(self, batch, batch_idx)

    monkeypatch.setattr(InpaintingModule, "training_step", training_step)


def logged_steps(folder: StageFolder, name: str) -> list[int]:
    """Steps at which a number was logged."""
    with (folder.path / "csv" / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row[name]]


@pytest.mark.parametrize("step", [4, 5])  # after a validation, and not
def test_an_interrupted_stage_is_resumed(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    fit_arguments: FitArguments,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    arguments = fit_arguments(tmp_path, "inpaint", "--trainer.max_steps=9", "--trainer.log_every_n_steps=1")
    with monkeypatch.context() as patch:
        signal_at(patch, step - 1, signal.SIGINT)
        assert main(arguments) == 130
    assert f"interrupted: the same command goes on from step {step}.\n" in capsys.readouterr().err
    folder = StageFolder(tmp_path / "inpaint")
    progress = folder.progress()
    assert progress is not None and progress.step == step
    first = folder.config()["run"]["id"]

    assert main(arguments) == 0
    assert f"resumed at step {step}" in capsys.readouterr().out
    progress = folder.progress()
    assert progress is not None and progress.step == 9
    assert folder.config()["run"]["id"] == first  # one W&B run, not two
    assert logged_steps(folder, "train/loss") == list(range(9))
    assert logged_steps(folder, "val/loss") == [1, 3, 5, 7]  # counted from 0; every second step
    optimizer = torch.load(folder.last, weights_only=True)["optimizer_states"][0]["state"]
    assert {int(state["step"]) for state in optimizer.values()} == {9}


def test_sigterm_ends_a_training_as_ctrl_c_does(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    signal_at(monkeypatch, 2, signal.SIGTERM)
    assert main(fit_arguments(tmp_path, "inpaint", "--trainer.max_steps=9")) == 143
    assert "interrupted: the same command goes on from step 3.\n" in capsys.readouterr().err
    progress = StageFolder(tmp_path / "inpaint").progress()
    assert progress is not None and progress.step == 3
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_our_warnings_name_no_place_in_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def warn() -> int:
        for file in (provenance.__file__, "/elsewhere/library.py"):
            shown.append(warnings.formatwarning("Only 4 frames.", UserWarning, file, 3))
        return 0

    monkeypatch.setattr(flops, "flops", warn)
    assert main(["flops"]) == 0
    ours, theirs = shown
    assert ours == "warning: Only 4 frames.\n" and theirs.startswith("/elsewhere/library.py:3: ")


@pytest.mark.parametrize("why", ["dry run", "before the first step", "from a checkpoint of choice"])
def test_what_cannot_be_resumed_does_not_say_so(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    fit_arguments: FitArguments,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
) -> None:
    more: list[str] = []
    if why == "dry run":
        more = ["--trainer.fast_dev_run=4"]
    elif why == "from a checkpoint of choice":
        assert main(fit_arguments(tmp_path, "inpaint")) == 0
        last = StageFolder(tmp_path / "inpaint").last
        more = [f"--ckpt_path={last.rename(tmp_path / 'chosen.ckpt')}", "--trainer.max_steps=4"]
    stop_at(monkeypatch, 2 if more else 0, KeyboardInterrupt())
    capsys.readouterr()
    assert main(fit_arguments(tmp_path, "inpaint", *more)) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted."


def test_other_commands_do_not_promise_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(flops, "flops", interrupt)
    assert main(["flops"]) == 130
    assert capsys.readouterr().err == "interrupted.\n"


def test_the_commits_of_a_training_are_saved(
    tmp_path: Path, fit_arguments: FitArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [("inpaint", "a", False, 2), ("inpaint", "b", True, 3), ("segment", "c", False, 2)]
    for stage, commit, dirty, steps in calls:
        monkeypatch.setattr(provenance, "commit", lambda c=commit, d=dirty: {"commit": c, "dirty": d})
        assert main(fit_arguments(tmp_path, stage, f"--trainer.max_steps={steps}")) == 0
    assert StageFolder(tmp_path / "inpaint").config()["run"]["commits"] == ["a", "b-dirty"]
    run = StageFolder(tmp_path / "segment").config()["run"]
    assert (run["commits"], run["inpainter_commits"]) == (["c"], ["a", "b-dirty"])


def test_a_finished_stage_can_be_prolonged(tmp_path: Path, fit_arguments: FitArguments) -> None:
    for steps in (2, 5, 6):  # a validation at the end, none, and one again
        more = (f"--trainer.max_steps={steps}", "--trainer.log_every_n_steps=1")
        assert main(fit_arguments(tmp_path, "inpaint", *more)) == 0
    folder = StageFolder(tmp_path / "inpaint")
    progress = folder.progress()
    assert progress is not None and progress.step == 6
    assert logged_steps(folder, "train/loss") == list(range(6))
    assert logged_steps(folder, "val/loss") == [1, 3, 5]


def test_epochs_end_a_stage_as_well(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments
) -> None:
    arguments = fit_arguments(tmp_path, "inpaint", "--trainer.max_steps=-1", "--trainer.max_epochs=1")
    assert main(arguments) == 0
    assert main(arguments) == 0
    assert "is finished" in capsys.readouterr().out


def test_a_nan_loss_keeps_the_last_good_weights(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(monkeypatch, 2, float("nan"))
    arguments = fit_arguments(tmp_path, "inpaint", "--trainer.max_steps=4")
    assert "loss is nan" in refusal(capsys, arguments, 1)
    best = torch.load(tmp_path / "inpaint" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["global_step"] == 2
    assert all(value.isfinite().all() for value in best["state_dict"].values() if value.is_floating_point())


def test_a_damaged_checkpoint_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fit_arguments: FitArguments
) -> None:
    assert main(fit_arguments(tmp_path, "inpaint")) == 0
    last = StageFolder(tmp_path / "inpaint").last
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    assert "cannot be read as a checkpoint" in refusal(capsys, fit_arguments(tmp_path, "inpaint"), 1)


def test_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKDROP_DEBUG", "1")
    assert main(["evaluate", str(tmp_path / "nothing")]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_loader_that_was_told_to_end_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        try:
            raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated. ")
        except RuntimeError as error:  # as torch does
            raise RuntimeError("DataLoader worker (pid(s) 1) exited unexpectedly") from error

    monkeypatch.setattr(flops, "flops", fail)
    assert main(["flops"]) == 143
    assert capsys.readouterr().err == "interrupted.\n"
