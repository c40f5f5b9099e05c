"""``calibrate``: a trained run gets a score, without a label, and says what it is worth."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.calibration.calibrate import Calibration, Share
from experiments.calibration.frames import piece
from experiments.cli import main
from experiments.prediction.predictor import Predictor
from experiments.runs.folder import StageFolder
from experiments.runs.restore import load_model
from tests.conftest import FitArguments

FRAMES = ["--data.init_args.frames_per_clip=12", "--data.init_args.train_clips=2"]


@pytest.fixture(scope="module")
def run(fit_arguments: FitArguments, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on drawn footage, of which both stages were trained for two steps."""
    folder = tmp_path_factory.mktemp("runs") / "drawn"
    for stage, more in (("inpaint", []), ("segment", ["--background=static"])):  # plates tell where the subject is
        assert main(fit_arguments(folder, stage, *FRAMES, *more, data="demo")) == 0
    return folder


def test_a_training_ends_with_a_score_that_all_later_commands_use(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StageFolder(run / "segment")
    worth = json.loads(folder.score_file.read_text())["last"]
    assert worth["step"] == 2 and worth["fitted"] + worth["found"]["frames"] >= 24
    assert worth["held_out"] == "validation"  # the demo's clips to validate on are others
    model = load_model(folder)
    (found,) = Predictor(model, (96, 128), torch.device("cpu"))([np.zeros((48, 64, 3), np.uint8)])
    assert found[0].score is not None and 0 <= found[0].score <= 1
    assert main(["evaluate", str(run)]) == 0
    with (run / "frames.csv").open() as file:
        scores = [float(line["score"]) for line in csv.DictReader(file)]
    assert len(scores) == 12 and all(0 <= score <= 1 for score in scores)
    results = json.loads((run / "results.json").read_text())
    assert 0 <= results["aurc"] <= 1 and results["risk_coverage"]["1.0"] == pytest.approx(1 - results["j_mean"])
    assert "AURC" in capsys.readouterr().out


def test_a_run_is_calibrated_afterwards_and_again_with_the_same_result(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    folder = StageFolder(copy / "segment")
    before = torch.load(folder.last, weights_only=True)
    bare = {name: value for name, value in before["state_dict"].items() if not name.startswith("score.")}
    assert len(bare) < len(before["state_dict"])
    torch.save({**before, "state_dict": bare}, folder.last)
    assert load_model(folder).score is None
    assert main(["calibrate", str(copy)]) == 0
    assert "The score finds the subject in" in capsys.readouterr().out
    after = torch.load(folder.last, weights_only=True)
    assert after["state_dict"].keys() == before["state_dict"].keys()
    for name, value in before["state_dict"].items():
        torch.testing.assert_close(after["state_dict"][name], value, msg=name)
    assert {**after, "state_dict": 0}.keys() == before.keys() and after["global_step"] == 2


def test_a_training_that_goes_on_drops_the_score_of_its_former_weights(run: Path) -> None:
    model = load_model(StageFolder(run / "segment"))
    assert model.score is not None
    model.on_fit_start()
    assert model.score is None and not [name for name in model.state_dict() if name.startswith("score.")]


def test_too_few_frames_are_no_ground_for_a_score(
    fit_arguments: FitArguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(tmp_path, stage, data="demo")) == 0
    assert "segment: There is no score: it takes 8 frames to train on, and there are 4." in capsys.readouterr().out
    assert not StageFolder(tmp_path / "segment").score_file.exists()
    assert main(["calibrate", str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: There is no score: ")


def test_a_piece_of_an_image_is_a_part_of_it_enlarged() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[..., 0] = np.arange(40)[:, None] * 4
    image[..., 1] = np.arange(60) * 4
    for seed in range(20):
        cut = piece(image, seed).astype(int)
        assert cut.shape == image.shape
        rows, columns = np.ptp(cut[:, 30, 0]) / 4 / 40, np.ptp(cut[20, :, 1]) / 4 / 60
        assert 0.2 < rows < 0.65 and 0.2 < columns < 0.65  # sides of .3 to .6, less half a pixel on each end
    assert np.array_equal(piece(image, 3), piece(image, 3))


@pytest.mark.parametrize(("share", "words"), [(1.0, "it tells frames"), (0.3, "it hardly tells them apart")])
def test_what_a_score_is_worth_is_said_in_words(share: float, words: str) -> None:
    one = Calibration(300, "training", 40, Share(20, 0.95), Share(10, share), Share(10, share), 0.8)
    assert words in one.sentence() and "95% of 20 frames of the training" in one.sentence()
    assert f"none in {share:.0%} of 20 frames without it" in one.sentence()
