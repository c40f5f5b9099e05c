"""The sweep ``each``: a model for each clip and one result of all; a clip that fails, and interruptions."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from datamodules.sets.videos import Videos
from experiments import cli
from experiments.cli import main
from experiments.results.measures import MEASURES
from experiments.runs import stages
from experiments.trials import runner
from experiments.trials.sweep import SWEEPS
from experiments.trials.trial import Trial
from tests import fake_data

FitArguments = Callable[..., list[str]]
TINY = "--config debug.yaml --trainer.accelerator cpu"
SEGMENT = ["--model.init_args.segmenter.init_args.crop_size", "[64, 64]"]


class Process(SimpleNamespace):
    """Stands in for a process that has ended."""

    __hash__ = object.__hash__


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Make trials and train in this process, which saves the imports; the list of what was trained."""
    trained: list[list[str]] = []

    def train(arguments: Sequence[str], **_: object) -> int:
        trained.append(list(arguments))
        return cli.main(arguments)

    def start(trial: Trial, *_: object) -> Process:
        code = cli.main(["trial", "--continue", *trial.words()])
        return Process(returncode=code, poll=lambda: code)

    monkeypatch.setattr(stages, "train", train)
    monkeypatch.setattr(runner, "start", start)
    return trained


def command(run: Path, root: Path, *clips: str, data: str = "davis", more: Sequence[str] = ()) -> list[str]:
    named = ["--data.init_args.clips", f"[{','.join(clips)}]"] if clips else []
    options = ["--run", str(run), "--data", data, "--inpaint-options", TINY, "--continue"]
    return ["sweep", "each", *options, "--", "--data.init_args.root", str(root), *named, *more, *TINY.split(), *SEGMENT]


def clips_of(root: Path) -> list[str]:
    return sorted(folder.name for folder in (root / "JPEGImages" / "480p").iterdir())


def test_each_clip_has_a_model_and_all_have_one_result(
    tmp_path: Path, davis: Path, in_this_process: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, davis)) == 0
    results: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
    names = clips_of(davis)
    assert len(names) > 1 and list(results["clips"]) == names
    single = {name: json.loads((tmp_path / f"{name}-seed0" / "results.json").read_text()) for name in names}
    for column in MEASURES:
        assert results[column] == pytest.approx(sum(s[column] for s in single.values()) / len(names))
    for name, alone in single.items():
        assert results["clips"][name]["j_mean"] == alone["clips"][name]["j_mean"]
        assert results["made_by"]["models"][name] == alone["made_by"]
        assert alone["made_by"]["settings"]["transductive"] is True and "setting" not in alone["made_by"]
    assert results["frames"] == sum(alone["frames"] for alone in single.values())
    floors = [alone["floors"]["whole_frame"]["j_mean"] for alone in single.values()]
    assert results["floors"]["whole_frame"]["j_mean"] == pytest.approx(sum(floors) / len(names))
    made = results["made_by"]
    assert made["command"].startswith("backdrop sweep each") and "setting" not in made
    assert not {"data_settings", "checkpoint", "checkpoint_sha256"} & made["settings"].keys()
    assert len(in_this_process) == len(names)  # targets from cues ask no inpainter: there is no stage 1
    segment = in_this_process[0]
    assert any("cues" in word for word in segment) and segment[-4:-2] == SEGMENT
    shown = capsys.readouterr().out
    assert "mean over clips" in shown and "transductive: the model was trained on the frames that are scored" in shown
    assert "| Backdrop, small | 1 | fixed |" in (tmp_path / "table.md").read_text()

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("last.ckpt")}
    assert main(command(tmp_path, davis)) == 0  # finished stages are not trained again
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("last.ckpt")} == before


def test_what_was_held_out_and_what_was_trained_on_are_scored_apart(tmp_path: Path, davis: Path) -> None:
    name = clips_of(davis)[0]
    assert main(command(tmp_path, davis, name, more=["--data.init_args.held_out", "0.34"])) == 0
    run = tmp_path / f"{name}-seed0"
    assert main(["evaluate", str(run), "--part", "trained"]) == 0
    held, trained = (json.loads((run / file).read_text()) for file in ("results.json", "results_trained.json"))
    assert list(held["clips"]) == [f"{name} (last 34%)"] and list(trained["clips"]) == [f"{name} (first 59%)"]
    assert (held["frames"], trained["frames"]) == (2, 3)  # the one between validates
    assert [one["made_by"]["settings"]["transductive"] for one in (held, trained)] == [False, True]
    made = [one["made_by"]["settings"]["data_settings"]["init_args"]["evaluated_part"] for one in (held, trained)]
    assert made == ["held_out", "trained"]


def test_the_clips_of_another_resolution_are_trained_on(tmp_path: Path) -> None:
    root = fake_data.write_davis(tmp_path / "data", train=["bear"], val=[])
    for part in ("JPEGImages", "Annotations"):
        (root / part / "480p").rename(root / part / "1080p")
    assert main(command(tmp_path / "run", root, more=["--data.init_args.resolution", "1080p"])) == 0
    assert list(json.loads((tmp_path / "run" / "results.json").read_text())["clips"]) == ["bear"]


def test_every_video_of_a_folder_has_a_model_and_those_with_masks_are_scored(
    tmp_path: Path, in_this_process: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    root = fake_data.write_videos(tmp_path / "data", frames=6)
    names = Videos(root).available_clips()
    assert main(command(tmp_path / "run", root, data="videos")) == 0
    assert len(in_this_process) == len(names) > 1
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    scored = {path.parent.name for path in (tmp_path / "run").glob("*/results.json")}
    unscored = {path.parent.name for path in (tmp_path / "run").glob("*/unscored.txt")}
    assert len(results["clips"]) == len(scored) > 0 and len(unscored) == len(names) - len(scored) > 0
    assert results["made_by"]["settings"]["transductive"] is True
    assert all((tmp_path / "run" / name / "segment/images/test_sheet.png").is_file() for name in scored | unscored)
    assert "no masks or boxes" in capsys.readouterr().out
    in_this_process.clear()
    assert main(command(tmp_path / "run", root, data="videos")) == 0 and not in_this_process


def test_other_settings_may_be_varied_too(tmp_path: Path, davis: Path, in_this_process: list[list[str]]) -> None:
    sweep = yaml.safe_load((SWEEPS / "each.yaml").read_text())
    varied = {"config": {"values": ["ablations/fig3/direct.yaml", "ablations/fig3/ours.yaml"]}}
    sweep["parameters"] = {**varied, **sweep["parameters"]}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(sweep, sort_keys=False))
    words = command(tmp_path / "run", davis, *clips_of(davis)[:2])
    assert main(["sweep", str(tmp_path / "two.yaml"), *words[2:]]) == 0
    assert len(in_this_process) == 4  # both settings of both clips, without stage 1
    for name in ("direct", "ours"):
        results = json.loads((tmp_path / "run" / "combined" / f"{name}-seed0" / "results.json").read_text())
        assert list(results["clips"]) == clips_of(davis)[:2] and results["made_by"]["setting"] == name
    table = (tmp_path / "run" / "table.md").read_text()
    assert "| direct | 1 | fixed |" in table and "| ours | 1 | fixed |" in table


def test_a_clip_that_fails_does_not_stop_the_others(
    tmp_path: Path, davis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = clips_of(davis)[:2]
    broken = tmp_path / f"{names[0]}-seed0" / "segment" / "checkpoints"
    broken.mkdir(parents=True)
    (broken / "last.ckpt").write_bytes(b"no checkpoint")
    assert main(command(tmp_path, davis, *names)) == 1
    assert f"1 of 2 trials failed ({names[0]}-seed0)" in capsys.readouterr().err
    assert (tmp_path / f"{names[1]}-seed0" / "results.json").is_file() and not (tmp_path / "results.json").exists()


@pytest.mark.parametrize("code", [130, 143])
def test_an_interruption_ends_it(code: int, tmp_path: Path, davis: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[Sequence[str]]()
    monkeypatch.setattr("experiments.runs.stages.train", lambda arguments, **_: calls.append(arguments) or code)
    assert main(command(tmp_path, davis)) == code
    assert len(calls) == 1


CHILD = """
import signal, sys, time
def save(*_):
    time.sleep(1)  # longer than subprocess.run would wait
    open(sys.argv[1], "w").write("saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
open(sys.argv[1], "w").write("ready")
time.sleep(60)
"""
PARENT = """
import signal, sys
from experiments.runs.stages import train
from backdrop.errors import Terminated
def stop(*_):
    raise Terminated
signal.signal(signal.SIGTERM, stop)
try:
    train(sys.argv[1:], (sys.executable, "-c"))
except Terminated as end:
    print(end)
"""


def test_a_training_that_is_terminated_may_save_first(tmp_path: Path, root: Path) -> None:
    file = tmp_path / "state"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD, str(file)], stdout=subprocess.PIPE, text=True, cwd=root
    )
    deadline = time.monotonic() + 120
    while not file.exists() or file.read_text() != "ready":
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    parent.terminate()
    shown, _ = parent.communicate(timeout=60)
    assert file.read_text() == "saved" and "goes on from here" in shown


def test_a_listed_clip_that_is_not_there_is_not_missed(tmp_path: Path) -> None:
    root = fake_data.write_davis(tmp_path / "data")
    shutil.rmtree(root / "JPEGImages" / "480p" / "camel")
    assert main(command(tmp_path / "run", root)) == 0
    assert "camel" not in json.loads((tmp_path / "run" / "results.json").read_text())["clips"]


def test_an_unknown_clip_is_refused_before_anything_is_trained(
    tmp_path: Path, davis: Path, in_this_process: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, davis, "no-clip")) == 1
    assert "Clip 'no-clip'" in capsys.readouterr().err and not in_this_process


def test_data_without_clips_of_their_own_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "each", "--run", str(tmp_path), "--data", "demo"]) == 1
    assert "DemoDataModule cannot be restricted to single clips" in capsys.readouterr().err
