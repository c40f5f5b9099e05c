"""The composer: which configs a command line names, and in which order they are merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from backdrop.errors import RunError, UsageError
from experiments.cli import main
from experiments.runs.composition import CONFIGS, Composition, compose, names, taken

SEGMENT = ["base.yaml", "segment.yaml", "data/demo.yaml", "profiles/small/segment.yaml"]
PLATES = ["background/static.yaml", "profiles/small/plates.yaml"]
STAGE_1 = ["inpaint", "cues_inpaint"]
CUES = ["background/cues.yaml", "profiles/small/cues.yaml"]


def files(*words: str) -> list[str]:
    """The configs of a command line, shipped ones by their names."""
    found = [word.removeprefix("--config=") for word in compose(words)]
    return [str(Path(name).relative_to(CONFIGS)) if name.startswith(str(CONFIGS)) else name for name in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--stage segment --data demo --profile small", SEGMENT),
        ("--profile=small --data=demo --stage=segment", SEGMENT),  # whatever the order
        ("--stage segment --data demo --profile small --background inpainting", SEGMENT),
        ("--stage segment --data demo --profile small --background static", [*SEGMENT, *PLATES]),
        ("--stage inpaint --data demo --background static", ["base.yaml", "inpaint.yaml", "data/demo.yaml"]),
        ("--stage segment --profile paper --background static", ["profiles/paper/segment.yaml", PLATES[0]]),
        ("--stage segment --data videos --profile small", ["profiles/small/segment.yaml", *CUES]),
        ("--stage inpaint --data videos --profile small", [f"profiles/small/{name}.yaml" for name in STAGE_1]),
        ("--stage segment --data videos --profile paper", ["data/videos.yaml", "profiles/paper/segment.yaml"]),
        ("--stage segment --data videos --profile small --background inpainting", ["data/videos.yaml", SEGMENT[-1]]),
        (
            "--data demo --profile small --background static",
            ["data/demo.yaml", "profiles/small/inpaint.yaml", *PLATES],
        ),
        ("--ablation joint --ablation prior_v", ["ablations/fig3/joint.yaml", "ablations/table3/prior_v.yaml"]),
        (
            "--profile small --stage segment --ablation prior_l2_weighted",
            ["profiles/small/segment.yaml", "profiles/small/prior_l2_weighted.yaml"],
        ),
        ("--ablation objectives/paper", ["objectives/paper.yaml"]),
        ("--ablation=joint --config=debug.yaml --x=1", ["ablations/fig3/joint.yaml", "debug.yaml", "--x=1"]),
        ("--data VideosDataModule --data.root=/x", ["--data", "VideosDataModule", "--data.root=/x"]),
        ("--data=datamodules.VideosDataModule", ["--data=datamodules.VideosDataModule"]),
        ("--data mine.yaml", ["--data", "mine.yaml"]),
    ],
)
def test_names_stand_for_files_in_one_order(words: str, expected: list[str]) -> None:
    found = files(*words.split())
    assert found[-len(expected) :] == expected
    assert len(found) == len(expected) or found[:2] in (["base.yaml", "segment.yaml"], ["base.yaml", "inpaint.yaml"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--data kinetics", "--data kinetics is unknown: choose cdnet, davis, demo, fbms, h36m,"),
        ("--profile huge", "--profile huge is unknown: choose paper, small"),
        ("--background plate", "--background plate is unknown: choose inpainting, cues, static, temporal"),
        ("--stage third", "--stage third is unknown: choose inpaint, segment"),
        ("--ablation both", "--ablation both is unknown: choose background_only, direct,"),
        ("--profile", "--profile names no config: choose paper, small"),
    ],
)
def test_an_unknown_name_lists_the_choices(words: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        compose(words.split())


def test_a_config_of_the_working_directory_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data/mine.yaml", "profiles/tiny/inpaint.yaml", "ablations/own.yaml", "profiles/small/segment.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("run: {}\n")
    assert {"mine", "demo"} <= {*names("data")} and "tiny" in names("profile") and "own" in names("ablation")
    found = files("--stage=segment", "--data=mine", "--profile=small", "--ablation=own")
    assert found == ["base.yaml", "segment.yaml", "data/mine.yaml", "profiles/small/segment.yaml", "ablations/own.yaml"]
    assert "--config=profiles/small/segment.yaml" in compose(["--stage=segment", "--profile=small"])  # not the shipped


def test_the_words_of_a_composition_stand_for_it() -> None:
    whole = Composition("segment", "davis", "paper", "temporal", ("joint", "prior_v"))
    assert taken(whole.options()) == (whole, []) and taken([]) == (Composition(), [])


@pytest.mark.parametrize("words", [["--data=demo"], ["--config=base.yaml", "--profile=small"]])
def test_a_training_needs_its_stage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", *words]) == 2
    assert "Which stage? Add --stage inpaint or --stage segment (see" in capsys.readouterr().err


def test_a_missing_config_is_named() -> None:
    with pytest.raises(RunError, match=r"There is no config nothing\.yaml, neither here nor among the shipped ones"):
        compose(["--config", "nothing.yaml"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["prepare", "--data=davis"], "DavisDataModule needs to know where the data are: add --data.init_args.root"),
        (["inspect", "--data=demo", "--data.init_args.clips=[bear]"], "'clips' is not accepted"),
        (["fit", "--stage=inpaint", "--data=ski", "--profile=small", "--data.init_args.preset=ptz"], "'preset' is not"),
    ],
)
def test_what_does_not_fit_the_data_is_one_sentence(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1


def test_options_win_over_names(fit_arguments: Callable[..., list[str]], tmp_path: Path) -> None:
    assert main(fit_arguments(tmp_path, "inpaint", "--model.init_args.learning_rate=0.5")) == 0
    saved = yaml.safe_load((tmp_path / "inpaint" / "config_fit.yaml").read_text())
    assert saved["model"]["init_args"]["learning_rate"] == 0.5
    assert saved["run"]["data"] == "davis" and saved["run"]["profile"] == "small"
