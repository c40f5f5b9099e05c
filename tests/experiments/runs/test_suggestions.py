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
from experiments.runs.composition import Stage
from experiments.runs.folder import StageFolder
from experiments.runs.suggestions import prediction, suggested
from tests.test_readme import check


def words_of(text: str) -> list[str]:
    """Words of the one command in a message."""
    (command,) = re.findall(r"`((?:make|python -m experiments|backdrop) [^`]*)`", text)
    return shlex.split(command)


@pytest.fixture(params=["make", "python -m experiments", "backdrop"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the user has typed."""
    name: str = request.param
    monkeypatch.setenv("BACKDROP_PROGRAM", name)
    return name


CONFIG = {
    "seed_everything": 3,
    "run": {"data": "davis", "profile": "paper"},
    "data": {"init_args": {"root": "/my data", "clips": ["bear", "camel"], "resolution": "1080p"}},
}


@pytest.mark.parametrize("stages", [["inpaint"], ["inpaint", "segment"]])
def test_a_command_holds_all_that_it_needs(root: Path, program: str, stages: list[Stage]) -> None:
    words = words_of(suggested(stages, CONFIG, Path("runs/$1")))
    check(root, words)
    if program == "make":
        wanted = ["DATA=davis", "ROOT=/my data", "CLIPS=bear camel", "RESOLUTION=1080p", "PROFILE=paper", "SEED=3"]
        assert words == ["make", "train" if "segment" in stages else "train-inpaint", *wanted, "RUN=runs/$$1"]
        return
    wanted = ["davis", "/my data", '["bear", "camel"]', "1080p", "paper", "3"]
    folder = "runs/$1" if "segment" in stages else "runs/$1/inpaint"
    assert words[: len(program.split()) + 1] == [*program.split(), "train" if "segment" in stages else "fit"]
    assert {*wanted, folder} <= {*words}


def test_videos_are_named_as_train_takes_them(root: Path, program: str) -> None:
    config = {"run": {"data": "videos", "profile": "small"}, "data": {"init_args": {"root": "/v", "targets": True}}}
    words = words_of(suggested(["segment"], config, Path("runs/a")))
    check(root, words)
    if program != "make":
        assert words[-6:] == ["train", "/v", "--run", "runs/a", "--background", "cues"]


def test_a_prediction_is_named_as_the_training_was(root: Path, program: str) -> None:
    words = shlex.split(prediction(Path("runs/a b"), [Path("/my videos"), Path("c.mp4")]))
    check(root, words)
    rest = ["RUN=runs/a b", "INPUT=/my videos"] if program == "make" else ["runs/a b", "/my videos", "c.mp4"]
    assert words == [*program.split(), "predict", *rest]


def test_a_usual_preset_is_not_named(program: str) -> None:
    config = {"run": {"data": "demo", "profile": "small"}, "data": {"init_args": {"preset": "handheld"}}}
    assert "handheld" not in suggested(["inpaint"], config, Path("runs/a"))


def test_own_configs_are_none_of_the_shipped_ones(program: str, tmp_path: Path) -> None:
    said = suggested(["segment"], {"run": {"data": "mine"}}, tmp_path)
    assert "with your own configs" in said and "make" not in said


@pytest.mark.parametrize("data", ["davis", "demo"])
def test_stage_2_without_stage_1(
    data: str,
    root: Path,
    tmp_path: Path,
    fit_arguments: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BACKDROP_PROGRAM", "make")
    more = ["--data.init_args.preset=ptz"] if data == "demo" else ["--data.init_args.clips=[bear, camel]"]
    assert main(fit_arguments(tmp_path, "segment", *more, data=data)) == 1
    words = words_of(capsys.readouterr().err)
    check(root, words)
    assert {f"DATA={data}", f"RUN={tmp_path}", "PRESET=ptz" if data == "demo" else "CLIPS=bear camel"} <= {*words}
    elsewhere = ["--model.init_args.inpainter_ckpt=inpainter.ckpt"]
    assert main(fit_arguments(tmp_path, "segment", *more, *elsewhere, data=data)) == 1
    error = capsys.readouterr().err
    assert words_of(error) == words and f"{tmp_path}/inpaint/checkpoints/last.ckpt, which" in error


def test_an_unfinished_stage_1(
    root: Path,
    tmp_path: Path,
    fit_arguments: Callable[..., list[str]],
    davis: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BACKDROP_PROGRAM", "make")
    assert main(fit_arguments(tmp_path, "inpaint")) == 0
    file = StageFolder(tmp_path / "inpaint").config_file
    config = yaml.safe_load(file.read_text())
    config["trainer"]["max_steps"] = 9
    file.write_text(yaml.safe_dump(config))
    assert main(fit_arguments(tmp_path, "segment")) == 0
    words = words_of(capsys.readouterr().err)
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
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BACKDROP_PROGRAM", "make")
    run = tmp_path / "run"
    if missing != "run":
        run.mkdir()
    if missing in ("stage 2", "last.ckpt"):
        shutil.copytree(trained / "inpaint", run / "inpaint")
    if missing == "last.ckpt":
        StageFolder(run / "inpaint").last.unlink()
    assert main(["evaluate", str(run)]) == 1
    words = words_of(capsys.readouterr().err)
    check(root, words)
    target = "train-seg" if missing == "stage 2" else "train"
    data = ["DATA=videos", "ROOT=VIDEOS"] if missing in ("run", "both") else ["DATA=davis", f"ROOT={davis}"]
    assert words == ["make", target, *data, f"RUN={run}"]
