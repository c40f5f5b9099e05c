"""``baselines``: results as of ``evaluate``, one table, what is finished is skipped, what cannot run is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.error import URLError

import numpy as np
import pytest
import torch

from datamodules import DavisDataModule, VideosDataModule
from experiments.baselines import METHODS, Baseline
from experiments.baselines.clip_frames import ClipFrames
from experiments.baselines.lesson import Lesson
from experiments.baselines.measuring import learn
from experiments.baselines.method import Frames, Prediction
from experiments.baselines.module import BaselineModule
from experiments.baselines.subtraction import Knn
from experiments.cli import main
from experiments.results.measures import MEASURES
from tests import fake_data

QUICK = ("mog2", "static_background")


@pytest.fixture
def command(davis: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Arguments of ``baselines`` on tiny data in the layout of DAVIS."""

    def arguments(*more: str, methods: Sequence[str] = QUICK) -> list[str]:
        data = ["--config=data/davis.yaml", f"--data.init_args.root={davis}", "--data.init_args.image_size=[48, 64]"]
        return ["baselines", str(tmp_path), "--method", *methods, *data, "--data.init_args.num_workers=0", *more]

    return arguments


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights, and nowhere to fetch them."""

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)


def results(folder: Path, method: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "baselines" / method / "results.json").read_text())
    return found


def test_results_are_those_of_an_evaluation(
    command: Callable[..., list[str]], davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command()) == 0
    wanted = {name for column in MEASURES for name in (column, f"best_{column}")} | {"best_threshold", "frames"}
    for method in QUICK:
        found = results(tmp_path, method)
        assert set(found["floors"]) == {"whole_frame", "centred_blob"} and list(found["clips"]) == ["camel"]
        for numbers in (found, *found["floors"].values(), *found["clips"].values()):
            assert wanted <= set(numbers)
        made = found["made_by"]
        assert made["command"].startswith(f"backdrop baselines {tmp_path} --method mog2")
        assert made["labels_used"] == "none in training; that threshold (best_*) is chosen with the test labels"
        assert made["seconds_per_frame"] > 0 and {"commit", "dirty", "date", "seed", "versions"} <= set(made)
        assert made["settings"]["method"] == method and made["settings"]["data"] == "davis"
        assert made["settings"]["data_settings"]["init_args"]["root"] == str(davis)
        assert (tmp_path / "baselines" / method / "images" / "test_sheet.png").is_file()
    assert results(tmp_path, "mog2")["made_by"]["settings"]["method_settings"]["history"] == 100
    shown = capsys.readouterr().out
    for text in (*QUICK, "whole_frame", "centred_blob", "s/frame", "6 test frames", "0.50", "best 0."):
        assert text in shown
    assert not list(tmp_path.rglob(".*.part"))


def test_what_is_finished_is_skipped(
    command: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted(METHODS["static_background"]):  # type: ignore[misc]  # mypy knows no class from a dictionary
        def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(METHODS, "static_background", Interrupted)
        assert main(command()) == 130
    assert [path.parent.name for path in tmp_path.rglob("results.json")] == ["mog2"]
    before = (tmp_path / "baselines" / "mog2" / "results.json").stat().st_mtime_ns
    capsys.readouterr()
    assert main(command()) == 0
    assert "mog2: finished before" in capsys.readouterr().out
    assert (tmp_path / "baselines" / "mog2" / "results.json").stat().st_mtime_ns == before
    assert results(tmp_path, "static_background")["frames"] == 6


def test_results_of_other_settings_are_not_taken_for_these(
    command: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(methods=["mog2"])) == 0
    first = results(tmp_path, "mog2")
    assert main(command("--data.init_args.batch_size=4", methods=["mog2"])) == 0  # which changes no number
    capsys.readouterr()
    assert main(command("--mog2.history=7", methods=["mog2"])) == 1
    assert "was made with other settings (history: 100 -> 7): choose another run folder" in capsys.readouterr().err
    assert main(command("--data.init_args.held_out=0.5", methods=["mog2"])) == 1
    assert "data.init_args.held_out: 0.0 -> 0.5" in capsys.readouterr().err
    assert main(command("--seed_everything=5", methods=["mog2"])) == 1
    assert "seed_everything: 0 -> 5" in capsys.readouterr().err
    assert results(tmp_path, "mog2") == first
    (tmp_path / "baselines" / "mog2" / "results.json").write_text("{}")
    assert main(command(methods=["mog2"])) == 1
    assert "cannot be read as results" in capsys.readouterr().err


@pytest.mark.usefixtures("offline")
def test_a_method_without_weights_does_not_stop_the_others(
    command: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(methods=["cam", "mask_rcnn", "coco_detector", "mog2"])) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert [line.split(":")[0] for line in lines] == ["cam", "mask_rcnn", "coco_detector"]
    assert all("set TORCH_HOME" in line for line in lines)
    assert [path.parent.name for path in tmp_path.rglob("results.json")] == ["mog2"]
    assert main(command(methods=["cam"])) == 1


def test_a_method_that_fails_does_not_stop_the_others(
    command: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(Knn):
        def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
            raise ZeroDivisionError("of OpenCV")

    monkeypatch.setitem(METHODS, "knn", Broken)
    assert main(command("--flow.step=0", methods=["knn", "flow", "mog2"])) == 0
    told = capsys.readouterr()
    assert "left out, see above: knn, flow" in told.out
    said = told.err
    assert "knn: left out: of OpenCV" in said and "flow: left out: step is 0: give 1 or more." in said
    assert [path.parent.name for path in tmp_path.rglob("results.json")] == ["mog2"]


@pytest.mark.usefixtures("offline")
def test_random_weights_need_no_file(command: Callable[..., list[str]], tmp_path: Path) -> None:
    assert main(command("--cam.weights=null", "--cam.side=64", methods=["cam"])) == 0
    made = results(tmp_path, "cam")["made_by"]
    assert made["settings"]["method_settings"] == {"weights": None, "side": 64}
    assert made["labels_used"].startswith("classes of ImageNet")


def test_a_method_that_learns_says_of_what_and_goes_on_where_it_was(
    command: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = [f"--unsup_dilate_unet.{name}" for name in ("steps=1", "width=2", "height=32", "batch_size=1", "most=2")]
    assert main(command(*tiny, methods=["unsup_dilate_unet"])) == 0
    told = capsys.readouterr().out
    assert "generation 2: 1 of 2 masks chosen" in told and "learnt from " in told and " unlabelled frames" in told
    settings = results(tmp_path, "unsup_dilate_unet")["made_by"]["settings"]
    assert settings["transductive"] is False and settings["method_settings"]["teacher"] == "videopca"
    (kept,) = (tmp_path / "baselines" / "unsup_dilate_unet").glob("learning-*/student1.pt")
    before = kept.stat().st_mtime_ns
    (tmp_path / "baselines" / "unsup_dilate_unet" / "results.json").unlink()
    assert main(command(*tiny, methods=["unsup_dilate_unet"])) == 0
    assert kept.stat().st_mtime_ns == before  # nothing was learnt again
    (tmp_path / "baselines" / "unsup_dilate_unet" / "results.json").unlink()
    assert main(command(*tiny, "--data.init_args.plates=static", methods=["unsup_dilate_unet"])) == 0
    assert len(list(kept.parent.parent.glob("learning-*"))) == 2  # what a teacher may look at is other
    assert main(command("--unsup_dilate_unet.teacher=targets", methods=["unsup_dilate_unet"])) == 1
    assert "was made with other settings" in capsys.readouterr().err


def test_what_was_learnt_from_other_targets_is_not_gone_on_with(tmp_path: Path) -> None:
    """The frames are the same: only the entry with the targets in the store has another name."""
    folders = list[str]()

    class Learner:
        def learn(self, lesson: Lesson) -> None:
            folders.append(lesson.folder.name)

    class Read:
        def __init__(self, kept: list[str]) -> None:
            self.entries = kept

        def __len__(self) -> int:
            return 1

    for kept in (["a-1", "a_targets-1"], ["a-1", "a_targets-2"], ["a-1", "a_targets-1"]):
        data = SimpleNamespace(setup=lambda _: None, dataset=lambda _, kept=kept: Read(kept))
        learn(cast(Any, Learner()), cast(Any, data), tmp_path, cast(Any, SimpleNamespace(method_settings={})), 0)
    assert folders[0] == folders[2] != folders[1]


def test_the_entries_that_a_data_set_reads_are_those_of_frames_and_targets(videos: Path) -> None:
    data = VideosDataModule(str(videos), image_size=(48, 64), num_workers=0, targets=True, target_features="none")
    data.setup("fit")
    frames, targets = data.dataset("train").entries
    assert frames.startswith("run1-") and targets.startswith("run1_targets-")


def test_wrong_words_are_named(
    command: Callable[..., list[str]], videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(methods=["mog3"])) == 2
    assert "There is no method mog3: choose all, or some of videopca, " in capsys.readouterr().err
    root = videos / "clips" / "run2"
    arguments = ["--config=data/videos.yaml", f"--data.init_args.root={root}", "--data.init_args.image_size=[48, 64]"]
    assert main(["baselines", str(tmp_path), "--method", "mog2", *arguments]) == 1
    assert "have no masks or boxes" in capsys.readouterr().err


def test_methods_see_frames_that_nobody_has_annotated(tmp_path: Path) -> None:
    root = fake_data.write_videos(tmp_path / "data", frames=6)
    data = VideosDataModule(str(root), image_size=(48, 64), num_workers=0)
    data.setup("test")
    dataset = data.dataset("test")
    assert [len(clip) for clip in dataset.clips] == [3]
    (whole,) = data.whole_clips("test")
    frames = ClipFrames(whole, dataset.frame_numbers(0))
    assert len(frames) == 6 and frames.wanted == [0, 2, 4] and [frames.number(p) for p in frames.wanted] == [0, 2, 4]
    for item, position in enumerate(frames.wanted):
        np.testing.assert_array_equal(dataset[item]["image"].permute(1, 2, 0).numpy(), frames[position])
    assert [one.tolist() for one in frames[1:3]] == [frames[1].tolist(), frames[2].tolist()]
    with pytest.raises(IndexError):
        frames[6]


def test_a_clip_that_is_kept_as_a_whole_is_stored_once(davis: Path) -> None:
    data = DavisDataModule(str(davis), image_size=(48, 64), num_workers=0)
    data.setup("test")
    whole = data.whole_clips("test")
    assert len(whole) == len(data.dataset("test").clips) == 1 and whole[0] is data.dataset("test").clips[0]


class Numbered(Baseline):
    """Says which frame it was asked for."""

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        for position in wanted:
            yield Prediction(np.full((48, 64), position / 10, dtype=np.float32), (0, 0, 1, 1), position / 10)


def test_the_module_answers_batches_in_their_order(tmp_path: Path) -> None:
    root = fake_data.write_videos(tmp_path / "data", frames=6)
    data = VideosDataModule(str(root), image_size=(48, 64), num_workers=0, batch_size=2)
    data.setup("test")
    frames = ClipFrames(data.whole_clips("test")[0], data.dataset("test").frame_numbers(0))
    module = BaselineModule(Numbered(), [frames])
    answers = [module.test_step(batch, number) for number, batch in enumerate(data.test_dataloader())]
    confidence = torch.cat([one["confidence"] for one in answers])
    assert confidence.tolist() == pytest.approx([0.0, 0.2, 0.4])
    assert answers[0]["mask"].shape == (2, 1, 48, 64) and answers[0]["box"].shape == (2, 4)
    assert module.watch.frames == 3 and module.watch.seconds > 0  # of those that were asked for
    again = BaselineModule(Numbered(), [frames])
    last = list(data.test_dataloader())[-1]
    with pytest.raises(RuntimeError, match="out of turn"):
        again.test_step(last, 0)
