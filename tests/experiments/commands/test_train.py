"""``train``: what it says before it begins, what it leaves out, and that it goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backdrop.errors import UsageError
from experiments.cli import load, main
from experiments.runs.folder import StageFolder
from experiments.runs.given_videos import as_options, root_of, run_name
from experiments.runs.plan import minutes
from experiments.signatures import understand
from tests import fake_data

TINY = ["--", "--config=debug.yaml", "--data.init_args.target_features=none", "--trainer.limit_val_batches=0"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders of images of a square that moves over noise."""
    root = tmp_path_factory.mktemp("my videos")
    for seed, clip in enumerate("abc"):  # of other noise each: copies of a recording are left out
        scene = np.random.default_rng(seed).integers(60, 120, (64, 64, 3)).astype(np.uint8)
        for number in range(6):
            frame = scene.copy()
            frame[20:44, 4 + 6 * number : 24 + 6 * number] = (220, 40, 40)
            fake_data.save(root / clip / f"{number:03d}.png", frame)
    return root


def train(*words: object) -> int:
    return main(["train", *map(str, words)])


def test_it_says_what_it_will_do(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train(clips, "--run", run, "--dry-run", "--steps", 7) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"training: {run}",
        "videos: 3 clips to train on, about 18 frames of 64x64; none is set aside",
        "model: it sees frames at 240x135; its masks are scaled to the size of the video",
        "stage 1: left out, as nothing in this training uses an inpainter",
        "stage 2: 7 steps",
    ]
    assert not run.exists()


def test_what_is_held_out_is_said(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [clips, "--run", tmp_path, "--dry-run", "--steps", 7, "--held-out", 0.34]
    assert train(*words) == 0
    assert "about 9 frames of 64x64; 34% of each, at its end, is set aside" in capsys.readouterr().out
    assert train(*words, "--background", "temporal") == 0
    assert "stage 1: left out" in capsys.readouterr().out
    assert train(*words, "--background", "inpainting") == 0
    assert "stage 1: 7 steps\nstage 2: 7 steps\n" in capsys.readouterr().out


def test_a_long_training_is_estimated(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.runs.plan.seconds_of_step", lambda _: 2.0)
    assert train(clips, "--run", tmp_path, "--dry-run", *TINY, "--trainer.max_steps=300") == 0
    wanted = "time: about 11 min: 40 s for the targets, which are made once, and 10 min for stage 2 (an estimate"
    assert wanted in capsys.readouterr().out


def test_times_are_round() -> None:
    assert [minutes(seconds) for seconds in (0.2, 80, 100, 3000, 9000)] == ["1 s", "80 s", "2 min", "50 min", "2.5 h"]


def test_several_videos_are_linked(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train(clips / "a", clips / "c", "--run", run, "--dry-run", "--steps", 7) == 0
    assert "2 clips to train on, about 12 frames" in capsys.readouterr().out
    assert sorted(path.resolve() for path in (run / "videos").iterdir()) == [clips / "a", clips / "c"]
    assert train(clips / "c", clips / "a", "--run", run, "--dry-run", "--steps", 7) == 0
    assert train(clips / "a", clips / "b", "--run", run, "--dry-run") == 0  # nothing was begun
    assert sorted(path.resolve() for path in (run / "videos").iterdir()) == [clips / "a", clips / "b"]
    (run / "segment").mkdir()
    assert train(clips / "a", clips / "c", "--run", run, "--dry-run") == 1
    assert f"{run} was begun with other videos" in capsys.readouterr().err


def test_two_of_the_same_name_are_refused(clips: Path, tmp_path: Path) -> None:
    fake_data.save(tmp_path / "a" / "000.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UsageError, match="have the same name: rename one"):
        root_of([clips / "a", tmp_path / "a"], tmp_path / "run")


def test_other_commands_take_a_folder_of_videos_too(clips: Path) -> None:
    words = as_options([str(clips), "--output=x"])
    assert words[-1] == "--output=x"
    data = understand("inspect", load("inspect"), words)[1].data
    assert (data.init_args.root, data.init_args.targets) == (str(clips), True)
    assert as_options(["--data=demo", "x"]) == ["--data=demo", "x"]
    with pytest.raises(UsageError, match="name one video"):
        as_options(["a.mp4", "b.mp4"])


def test_the_run_is_named_after_the_footage(clips: Path) -> None:
    assert run_name([clips], "videos") == clips.name
    assert run_name([clips / "a.b.mp4"], "videos") == "a.b"
    assert run_name([clips, clips], "videos") == "videos"
    assert run_name([], "demo") == "demo"


@pytest.mark.slow
def test_a_training_of_own_videos(clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train(clips, "--run", run, *TINY) == 0
    said = capfd.readouterr().out
    assert "segment: 2 steps on videos (small)" in said and "without an inpainter" in said
    assert "The cues agree with the target in" in said and f"next: backdrop predict {run}" in said
    assert not (run / "inpaint").exists()
    weights = torch.load(StageFolder(run / "segment").last, weights_only=True)["state_dict"]
    assert not [name for name in weights if name.startswith("inpainter.")]
    splits = StageFolder(run / "segment").clips()
    assert splits is not None and set(map(tuple, splits.values())) == {("a", "b", "c")}
    assert train(clips, "--run", run, *TINY) == 0
    assert "is finished (2 steps): nothing to do." in capfd.readouterr().out
    assert main(["evaluate", str(run)]) == 0  # no label, no inpainter: pictures alone
    assert "nothing to score" in capfd.readouterr().out


@pytest.mark.slow
def test_a_model_for_every_video(clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train(clips / "a", clips / "b", "--run", run, "--each", *TINY) == 0
    said = capfd.readouterr().out
    assert said.count("the cues agree in") == 2
    assert (run / "a-seed0" / "segment").is_dir() and (run / "b-seed0" / "segment").is_dir()
    assert not (run / "inpainters").exists()
