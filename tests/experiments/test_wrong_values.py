"""Values out of their ranges are refused before anything is decoded or trained, by fit, sweep and trial alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from experiments.cli import main
from experiments.runs import stages
from experiments.trials.sweep import SWEEPS

GROUP = "--model.init_args"
WRONG = {
    f"{GROUP}.detector.s_min=0.9": "(s_min, s_max) of DetectorSettings is (0.9, 0.8), expected 0 < s_min < s_max <= 1",
    f"{GROUP}.detector.s_max=0.05": "expected 0 < s_min < s_max <= 1 (fractions of the frame)",
    f"{GROUP}.scene.init_args.growth=-1": "growth of Inpainting is -1.0, expected at least 1.",
    f"{GROUP}.mask_prior.kind=w": "model.init_args.mask_prior.kind is w, expected one of none, l1, l2, v",
    f"{GROUP}.estimator.init_args.epsilon=0.5": "epsilon of Importance is 0.5, expected 0 to 1/36",
    f"{GROUP}.detector=null": "detector of SegmentationModule is null, expected a value",
    f"{GROUP}.scene=null": "scene of SegmentationModule is null, expected a value",
    f"{GROUP}.learning_rate=0": "learning_rate of SegmentationModule is 0.0, expected above 0.",
    f"{GROUP}.scene=Plates": "The scene Plates needs background plates, which the data do not bring: add --background",
    "--data.init_args.batch_size=0": "DataModule is 0, expected at least 1.",
    "--data.init_args.num_workers=-1": "DataModule is -1, expected at least 0.",
    "--background=plate": "--background plate is unknown: choose inpainting, cues, static, temporal",
    "--ablation=both": "--ablation both is unknown: choose background_only, direct, ",
}
STAGE_1 = {
    f"{GROUP}.hole_side=[0.5,0.3]": "hole_side",
    f"{GROUP}.learning_rate=-1": "learning_rate of InpaintingModule is -1.0, expected above 0.",
    f"{GROUP}.channels=[]": "channels",
}


@pytest.fixture(autouse=True)
def nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of its own, and no training."""
    monkeypatch.setenv("BACKDROP_CACHE", str(tmp_path / "store"))
    monkeypatch.setattr(stages, "train", lambda *_, **__: pytest.fail("a training was started"))


def refusal(capsys: pytest.CaptureFixture[str], arguments: list[str], made: Path) -> str:
    """The one line of a command that must fail, and leaves nothing in a folder."""
    capsys.readouterr()
    assert main(arguments) in (1, 2)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("error: ") and len(error) < 400
    assert not (made / "store").exists() and not (made / "run").exists()
    return error


@pytest.mark.parametrize("wrong", WRONG)
def test_fit_refuses_it(
    wrong: str, tmp_path: Path, fit_arguments: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert WRONG[wrong] in refusal(capsys, fit_arguments(tmp_path / "run", "segment", wrong), tmp_path)


@pytest.mark.parametrize("wrong", STAGE_1)
def test_fit_refuses_it_in_stage_1(
    wrong: str, tmp_path: Path, fit_arguments: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert STAGE_1[wrong] in refusal(capsys, fit_arguments(tmp_path / "run", "inpaint", wrong), tmp_path)


@pytest.mark.parametrize("wrong", [name for name in WRONG if "background" not in name])
def test_a_sweep_and_a_trial_refuse_it(wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before stage 1 is trained, though it is of stage 2."""
    sweep = yaml.safe_load((SWEEPS / "fig3.yaml").read_text())
    name, _, value = wrong.removeprefix("--").partition("=")
    sweep["parameters"] = {name: {"values": [value]}}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(sweep))
    where = [f"--run={tmp_path / 'run'}"]
    arguments = ["sweep", str(tmp_path / "wrong.yaml"), *where, "--dry-run"]
    assert WRONG[wrong] in refusal(capsys, arguments, tmp_path)
    assert WRONG[wrong] in refusal(capsys, ["trial", *where, wrong], tmp_path)


@pytest.mark.parametrize("command", ["sweep fig3 --dry-run", "trial"])
@pytest.mark.parametrize("wrong", ["--background=plate", "--profile=huge", "--data=kinetics"])
def test_a_name_of_a_sweep_or_trial_is_known(
    command: str, wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refusal(capsys, [*command.split(), wrong, f"--run={tmp_path / 'run'}"], tmp_path)
    assert f"{wrong.replace('=', ' ')} is unknown: choose " in error


def test_what_stage_1_is_given_is_tried_out_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = f"--inpaint-options={GROUP}.learning_rate=0"
    expected = "Trial default-seed0 cannot be made: learning_rate of InpaintingModule is 0.0, expected above 0."
    assert expected in refusal(capsys, ["trial", f"--run={tmp_path / 'run'}", wrong], tmp_path)
