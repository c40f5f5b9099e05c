"""``davis``: a model for each clip, one result of all, and what it does when a clip fails or it is interrupted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from experiments import cli
from experiments.cli import main
from experiments.results.measures import MEASURES
from experiments.runs import stages
from tests import fake_data

FitArguments = Callable[..., list[str]]
TINY = "--config debug.yaml --trainer.accelerator cpu"
SEGMENT = ["--model.init_args.segmenter.init_args.crop_size", "[64, 64]"]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Train in this process, which saves the imports; the list of what was trained."""
    trained: list[list[str]] = []

    def train(arguments: Sequence[str], **_: object) -> int:
        trained.append(list(arguments))
        return cli.main(arguments)

    monkeypatch.setattr(stages, "train", train)
    return trained


def command(run: Path, root: Path, *clips: str) -> list[str]:
    named = ["--clips", *clips] if clips else []
    options = ["--root", str(root), *named, "--inpaint-options", TINY]
    return ["davis", str(run), *options, "--", *TINY.split(), *SEGMENT]


def test_each_clip_has_a_model_and_all_have_one_result(
    tmp_path: Path, davis: Path, in_this_process: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, davis)) == 0
    results: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
    names = sorted(folder.name for folder in (davis / "JPEGImages" / "480p").iterdir())
    assert len(names) > 1 and list(results["clips"]) == names
    single = {name: json.loads((tmp_path / name / "results.json").read_text()) for name in names}
    for column in MEASURES:
        assert results[column] == pytest.approx(sum(s[column] for s in single.values()) / len(names))
    for name, alone in single.items():
        assert results["clips"][name]["j_mean"] == alone["clips"][name]["j_mean"]
        assert results["made_by"]["models"][name] == alone["made_by"]
        assert alone["made_by"]["settings"]["transductive"] is True
    assert results["frames"] == sum(alone["frames"] for alone in single.values())
    floors = [alone["floors"]["whole_frame"]["j_mean"] for alone in single.values()]
    assert results["floors"]["whole_frame"]["j_mean"] == pytest.approx(sum(floors) / len(names))
    assert len(in_this_process) == 2 * len(names)
    segment = in_this_process[1]
    assert "--background=temporal" in segment and segment[-2:] == SEGMENT
    shown = capsys.readouterr().out
    assert "mean over clips" in shown and "transductive: the model was trained on the frames that are scored" in shown

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("last.ckpt")}
    assert main(command(tmp_path, davis)) == 0  # finished stages are not trained again
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("last.ckpt")} == before


def test_what_was_held_out_and_what_was_trained_on_are_scored_apart(tmp_path: Path, davis: Path) -> None:
    names = sorted(folder.name for folder in (davis / "JPEGImages" / "480p").iterdir())[:1]
    arguments = command(tmp_path, davis, *names)
    arguments[2:2] = ["--held-out", "0.34"]
    assert main(arguments) == 0
    assert main(["evaluate", str(tmp_path / names[0]), "--part", "trained"]) == 0
    files = (tmp_path / names[0] / name for name in ("results.json", "results_trained.json"))
    held, trained = (json.loads(file.read_text()) for file in files)
    assert list(held["clips"]) == [f"{names[0]} (last 34%)"] and list(trained["clips"]) == [f"{names[0]} (first 59%)"]
    assert (held["frames"], trained["frames"]) == (2, 3)  # the one between validates
    assert [one["made_by"]["settings"]["transductive"] for one in (held, trained)] == [False, True]
    made = [one["made_by"]["settings"]["data_settings"]["init_args"]["evaluated_part"] for one in (held, trained)]
    assert made == ["held_out", "trained"]


def test_the_clips_of_another_resolution_are_trained_on(tmp_path: Path, in_this_process: list[list[str]]) -> None:
    root = fake_data.write_davis(tmp_path / "data", train=["bear"], val=[])
    for part in ("JPEGImages", "Annotations"):
        (root / part / "480p").rename(root / part / "1080p")
    arguments = command(tmp_path / "run", root)
    arguments[2:2] = ["--resolution", "1080p"]
    assert main(arguments) == 0
    assert list(json.loads((tmp_path / "run" / "results.json").read_text())["clips"]) == ["bear"]


def test_a_clip_that_fails_does_not_stop_the_others(
    tmp_path: Path, davis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(folder.name for folder in (davis / "JPEGImages" / "480p").iterdir())
    (tmp_path / names[0] / "inpaint" / "checkpoints").mkdir(parents=True)
    (tmp_path / names[0] / "inpaint" / "checkpoints" / "last.ckpt").write_bytes(b"no checkpoint")
    assert main(command(tmp_path, davis, *names[:2])) == 1
    assert f"1 of 2 clips failed ({names[0]})" in capsys.readouterr().err
    assert (tmp_path / names[1] / "results.json").is_file() and not (tmp_path / "results.json").exists()


def test_an_interruption_ends_it(tmp_path: Path, davis: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[Sequence[str]]()
    monkeypatch.setattr("experiments.runs.stages.train", lambda arguments, **_: calls.append(arguments) or 130)
    assert main(command(tmp_path, davis)) == 130
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
from experiments.errors import Terminated
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


def test_a_terminated_stage_ends_it(tmp_path: Path, davis: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[Sequence[str]]()
    monkeypatch.setattr("experiments.runs.stages.train", lambda arguments, **_: calls.append(arguments) or 143)
    assert main(command(tmp_path, davis)) == 143
    assert len(calls) == 1


def test_a_listed_clip_that_is_not_there_is_not_missed(
    tmp_path: Path, in_this_process: list[list[str]]
) -> None:
    root = fake_data.write_davis(tmp_path / "data")
    shutil.rmtree(root / "JPEGImages" / "480p" / "camel")
    assert main(command(tmp_path / "run", root)) == 0
    assert "camel" not in json.loads((tmp_path / "run" / "results.json").read_text())["clips"]


def test_an_unknown_clip_is_refused_before_anything_is_trained(
    tmp_path: Path, davis: Path, in_this_process: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, davis, "no-clip")) == 1
    assert "Clip 'no-clip'" in capsys.readouterr().err and not in_this_process
