"""Commands that messages tell the user to run can be pasted: make and the command line take them as they are."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from experiments.cli import main
from experiments.runs.folder import StageFolder
from experiments.runs.suggestions import make_command
from tests.test_readme import check


def suggested(text: str) -> list[str]:
    """Words of the one command in a message."""
    (command,) = re.findall(r"`(make [^`]*)`", text)
    return shlex.split(command)


def test_a_command_holds_all_that_make_has_a_variable_for(root: Path) -> None:
    config = {
        "seed_everything": 3,
        "run": {"data": "davis", "profile": "paper"},
        "data": {"init_args": {"root": "/my data", "clips": ["bear", "camel"], "resolution": "1080p"}},
    }
    words = suggested(make_command("train-seg", config, Path("runs/$1")))
    wanted = ["DATA=davis", "ROOT=/my data", "CLIPS=bear camel", "RESOLUTION=1080p", "PROFILE=paper", "SEED=3"]
    assert words == ["make", "train-seg", *wanted, "RUN=runs/$$1"]
    check(root, words)


def test_own_configs_are_none_of_make(tmp_path: Path) -> None:
    assert "`make train-seg DATA" not in make_command("train-seg", {"run": {"data": "mine"}}, tmp_path)


@pytest.mark.parametrize("data", ["davis", "demo"])
def test_stage_2_without_stage_1(
    data: str,
    root: Path,
    tmp_path: Path,
    fit_arguments: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = ["--data.init_args.preset=ptz"] if data == "demo" else ["--data.init_args.clips=[bear, camel]"]
    assert main(fit_arguments(tmp_path, "segment", *more, data=data)) == 1
    words = suggested(capsys.readouterr().err)
    check(root, words)
    assert {f"DATA={data}", f"RUN={tmp_path}", "PRESET=ptz" if data == "demo" else "CLIPS=bear camel"} <= {*words}
    elsewhere = ["--model.init_args.inpainter_ckpt=inpainter.ckpt"]
    assert main(fit_arguments(tmp_path, "segment", *more, *elsewhere, data=data)) == 1
    error = capsys.readouterr().err
    assert suggested(error) == words and f"{tmp_path}/inpaint/checkpoints/last.ckpt, which" in error


def test_an_unfinished_stage_1(
    root: Path,
    tmp_path: Path,
    fit_arguments: Callable[..., list[str]],
    davis: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(fit_arguments(tmp_path, "inpaint")) == 0
    file = StageFolder(tmp_path / "inpaint").config_file
    config = yaml.safe_load(file.read_text())
    config["trainer"]["max_steps"] = 9
    file.write_text(yaml.safe_dump(config))
    assert main(fit_arguments(tmp_path, "segment")) == 0
    words = suggested(capsys.readouterr().err)
    assert words == ["make", "train-inpaint", "DATA=davis", f"ROOT={davis}", f"RUN={tmp_path}"]
    check(root, words)
    moved = (tmp_path / "inpaint").rename(tmp_path / "by-hand")  # where make would not go on
    arguments = fit_arguments(tmp_path / "b", "segment")
    assert main([*arguments, f"--model.init_args.inpainter_ckpt={StageFolder(moved).last}"]) == 0
    assert "the command that began it goes on" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["run", "both", "stage 2", "last.ckpt"])
def test_an_evaluation_without_a_trained_stage(
    missing: str,
    root: Path,
    tmp_path: Path,
    trained: Path,
    davis: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    if missing != "run":
        run.mkdir()
    if missing in ("stage 2", "last.ckpt"):
        shutil.copytree(trained / "inpaint", run / "inpaint")
    if missing == "last.ckpt":
        StageFolder(run / "inpaint").last.unlink()
    assert main(["evaluate", str(run)]) == 1
    words = suggested(capsys.readouterr().err)
    check(root, words)
    targets = ["train-seg"] if missing == "stage 2" else ["train-inpaint", "train-seg"]
    data = ["DATA=demo"] if missing in ("run", "both") else ["DATA=davis", f"ROOT={davis}"]
    assert words == ["make", *targets, *data, f"RUN={run}"]
