"""``evaluate``: the numbers, what made them, and the picture sheet."""

from __future__ import annotations

import csv
import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from backdrop.errors import RunError
from callbacks.pictures.png import read_notes
from experiments.cli import main
from experiments.results.chosen import choose, measured
from experiments.results.evaluation import TRAINED_BY, _tuned
from experiments.results.measures import MEASURES
from experiments.results.official import official
from experiments.runs import provenance
from experiments.runs.folder import StageFolder
from tests.fake_data import write_images, write_masks


@pytest.fixture(scope="module")
def scored(fit_arguments: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("scored")
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(run, stage)) == 0
    assert main(["evaluate", str(run)]) == 0
    return run


def test_the_numbers_are_all_there(scored: Path) -> None:
    results = json.loads((scored / "results.json").read_text())
    wanted = {name for column in MEASURES for name in (column, f"best_{column}")} | {"best_threshold", "frames"}
    floors = results["floors"]
    assert set(floors) == {"whole_frame", "centred_blob"}
    for numbers in (results, *floors.values(), *results["clips"].values()):
        assert wanted <= set(numbers)
    assert {"average_precision", "peak_in_box"} <= set(results)
    assert not any("peak_in_box" in numbers for numbers in floors.values())
    assert list(results["clips"]) == ["camel"] and results["frames"] == 6
    assert floors["whole_frame"]["recall"] == 1


def test_what_made_them_is_written_down(scored: Path, davis: Path) -> None:
    made = json.loads((scored / "results.json").read_text())["made_by"]
    assert made["command"] == f"backdrop evaluate {scored}"
    assert made["labels_used"].startswith("none in training; that threshold (best_*)")
    assert made["seed"] == 0 and {"commit", "dirty", "date"} <= set(made)
    run = StageFolder(scored / "segment").config()["run"]
    assert made["trained_by"] == {name: run[name] for name in TRAINED_BY}
    assert made["trained_by"]["commits"] == provenance.trained_by([])
    for name, stage in (("inpainter_command", "inpaint"), ("command", "segment")):
        said = shlex.split(made["trained_by"][name])
        assert said[:2] == ["backdrop", "fit"] and f"--stage={stage}" in said
    assert made["settings"]["inpainter_steps"] == 2
    assert made["seconds_per_frame"] > 0 and made["processor_seconds_per_frame"] > 0
    settings = made["settings"]
    names = ("data", "profile", "scale", "mode")
    assert [settings[name] for name in names] == ["davis", "small", 1.0, "separate"]
    assert settings["data_settings"]["init_args"]["root"] == str(davis)
    assert settings["transductive"] is False and settings["steps"] == 2 and len(settings["checkpoint_sha256"]) == 64
    assert "torch" in made["versions"]


def test_the_evaluation_repeats_itself(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = json.loads((scored / "results.json").read_text())
    assert main(["evaluate", str(scored)]) == 0
    second = json.loads((scored / "results.json").read_text())
    del first["made_by"], second["made_by"]
    assert first == second
    shown = capsys.readouterr().out
    for text in ("model", "whole frame", "centred blob", "camel", "results.json", "test_sheet.png"):
        assert text in shown
    assert (scored / "segment" / "images" / "test_sheet.png").is_file()
    assert not list(scored.glob(".*.part"))


def test_the_protocol_of_davis_scores_at_the_clips_own_size(
    fit_arguments: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    larger = ["--data.init_args.image_size=[96,128]", "--data.init_args.scale=0.5"]  # the clips are 48x64
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(tmp_path, stage, *larger)) == 0
    assert main(["evaluate", str(tmp_path)]) == 0
    assert main(["evaluate", str(tmp_path), "--protocol", "davis"]) == 0
    assert "decay" in capsys.readouterr().out
    found = json.loads((tmp_path / "results_protocol-davis.json").read_text())
    settings = found["made_by"]["settings"]
    assert (settings["protocol"], settings["data_settings"]["init_args"]["image_size"]) == ("davis", [48, 64])
    assert found["frames"] == 4 and "f_measure" not in found  # of six
    assert {"j_mean", "j_recall", "j_decay", "boundary_f", "boundary_recall", "boundary_decay"} <= set(found)
    assert set(found["clips"]) == {"camel"} and set(found["floors"]) == {"whole_frame", "centred_blob"}
    assert main(["table", str(tmp_path), "--protocol", "davis"]) == 0
    assert "J decay" in capsys.readouterr().out
    assert main(["table", str(tmp_path), str(tmp_path / "results_protocol-davis.json")]) == 1
    assert "protocol usual and davis" in capsys.readouterr().err


def test_the_figures_of_davis_are_means_over_clips_of_inner_frames() -> None:
    values = {"a": [0.0, 0.6, 0.8, 0.0], "b": [1.0, 0.2, 1.0], "no masks": [math.nan]}
    frames = [
        {"clip": name, "frame": place, "j": value, "boundary_f": value / 2}
        for name, row in values.items()
        for place, value in enumerate(row)
    ]
    scores = SimpleNamespace(frames=lambda: frames)
    found = official(SimpleNamespace(test=scores, floors={"whole_frame": scores}))  # type: ignore[arg-type]
    assert found["j_mean"] == pytest.approx((0.7 + 0.2) / 2) and found["boundary_f"] == pytest.approx(0.225)
    assert found["j_recall"] == 0.5 and found["j_decay"] == pytest.approx(-0.1) and found["frames"] == 3
    assert found["floors"]["whole_frame"]["j_mean"] == found["j_mean"]
    del frames[1:3]
    with pytest.raises(RunError, match="Clip 'a': DAVIS leaves out"):
        official(SimpleNamespace(test=scores, floors={}))  # type: ignore[arg-type]


def test_every_frame_is_scored_and_the_chosen_ones_are_drawn(scored: Path) -> None:
    results = json.loads((scored / "results.json").read_text())
    with (scored / "frames.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == results["frames"] == 6
    assert sum(float(row["j"]) for row in rows) / 6 == pytest.approx(results["j_mean"])
    with Image.open(scored / "segment" / "images" / "test_frames.png") as image:
        drawn = read_notes(image)["rows"]
    ranked = sorted(rows, key=lambda row: float(row["j"]))
    kinds = ("worst", "worst", "median", "median", "best", "best")
    wanted = [(f"{kind} J {float(row['j']):.3f}") for kind, row in zip(kinds, ranked, strict=True)]
    assert [name.split(" ", 2)[2] for name in drawn] == wanted
    assert sorted(name.split()[1] for name in drawn) == sorted(row["frame"] for row in rows)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (1, ["worst"]),
        (2, ["worst", "best"]),
        (4, ["worst", "worst", "best", "best"]),
        (5, ["worst", "worst", "median", "best", "best"]),
        (100, ["worst"] * 3 + ["median"] * 3 + ["best"] * 3),
    ],
)
def test_no_frame_is_chosen_twice(frames: int, expected: list[str]) -> None:
    rows = [{"clip": "a", "frame": n, "j": (7 * n % frames) / frames, "box_iou": 0.5} for n in range(frames)]
    rows.append({"clip": "a", "frame": frames, "j": math.nan, "box_iou": 0.5})
    chosen = choose(rows)
    assert [kind for kind, _ in chosen] == expected
    values = [row["j"] for _, row in chosen]
    assert values == sorted(set(values)) and values[0] == 0 and values[-1] == (frames - 1) / frames


def test_boxes_rank_frames_without_masks() -> None:
    rows = [{"clip": "a", "frame": n, "j": math.nan, "box_iou": n / 10} for n in (3, 1, 2)]
    assert measured(rows) == "box_iou" and [row["frame"] for _, row in choose(rows)] == [1, 2, 3]


def test_best_is_another_checkpoint_of_the_same_run(scored: Path) -> None:
    assert main(["evaluate", str(scored), "--checkpoint", "best"]) == 0
    settings = json.loads((scored / "results.json").read_text())["made_by"]["settings"]
    assert settings["checkpoint"].endswith("best.ckpt")


def test_several_subjects_are_scored_beside_the_one(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = (scored / "results.json").read_bytes()
    capsys.readouterr()
    assert main(["evaluate", str(scored), "--subjects", "3", "--set", "batch_size=2"]) == 0
    results = json.loads((scored / "results_subjects-3_batch_size-2.json").read_text())
    assert (scored / "results.json").read_bytes() == one
    assert set(results["subjects"]) == {
        "subject_j", "subject_recall", "count_accuracy", "subjects_found", "subjects_there", "average_precision",
        "clips",
    }  # fmt: skip
    assert results["subjects"]["subjects_there"] == 1 and 1 <= results["subjects"]["subjects_found"] <= 3
    settings = results["made_by"]["settings"]
    assert settings["subjects"] == 3 and settings["data_settings"]["init_args"]["batch_size"] == 2
    shown = capsys.readouterr().out
    sheet = scored / "segment" / "images" / "subjects-3_batch_size-2" / "test_sheet.png"
    assert "up to 3 subjects in a frame" in shown and str(sheet) in shown and sheet.is_file()
    assert "how several subjects are told apart" in results["made_by"]["labels_used"]


def test_subjects_that_the_data_number_are_scored_one_by_one(
    fit_arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(tmp_path, stage, data="demo")) == 0
    assert main(["evaluate", str(tmp_path), "--subjects", "3", "--set", "figures=2"]) == 0
    results = json.loads((tmp_path / "results_subjects-3_figures-2.json").read_text())
    assert results["subjects"]["subjects_there"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--set", "figures"], 2, "figures is no NAME=VALUE"),
        (["--set", "figures=2"], 2, "figures"),  # DAVIS has no such setting
        (["--subjects", "0"], 1, "expected 1 to 20"),
    ],
)
def test_wrong_settings_of_an_evaluation_are_named(
    scored: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert main(["evaluate", str(scored), *arguments]) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_missing_parts_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path / "none")]) == 1
    assert "There is no run" in capsys.readouterr().err
    (tmp_path / "inpaint").mkdir()
    assert main(["evaluate", str(tmp_path)]) == 1
    assert f"`backdrop train VIDEOS --run {tmp_path}`" in capsys.readouterr().err


def test_boxes_alone_are_scored(
    tmp_path: Path, fit_arguments: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(tmp_path, stage, data="h36m")) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {"hit_rate", "average_precision"} <= set(results) and "j_mean" not in results
    assert results["frames"] == 8 and results["masks"] == 0  # two takes, two cameras, frames 1 and 6
    shown = capsys.readouterr().out
    assert "8 test frames, 0 of them with a mask" in shown and "S9_Phoning-1_54138969" in shown
    assert "best 0" not in shown


def test_footage_without_masks_cannot_be_scored(
    tmp_path: Path, fit_arguments: Callable[..., list[str]], davis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = davis / "JPEGImages" / "480p" / "bear"
    for stage in ("inpaint", "segment"):
        arguments = fit_arguments(tmp_path, stage, data="videos")
        assert main([*arguments, f"--data.init_args.root={images}"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    sheet = tmp_path / "segment" / "images" / "test_sheet.png"
    assert "have no masks or boxes" in said and str(sheet) in said and sheet.is_file()
    assert not (tmp_path / "results.json").exists()


def test_a_part_is_asked_for_where_nothing_was_held_out(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(scored), "--part", "trained"]) == 1
    assert "Nothing was held out" in capsys.readouterr().err


def test_labels_that_settings_were_tuned_with_are_named() -> None:
    def config(profile: str, plates: str | None) -> dict[str, object]:
        return {"run": {"profile": profile}, "data": {"init_args": {"plates": plates}}}

    assert _tuned(config("paper", None)) == ""
    assert _tuned(config("small", None)).endswith("the demo's validation clips")
    assert "DAVIS" in _tuned(config("small", "temporal"))


def test_a_run_keeps_its_splits(
    fit_arguments: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clips that are annotated or come after the training move none of those that trained into the test."""
    root, run = tmp_path / "data", tmp_path / "run"
    for number, name in enumerate("abcdefg"):
        write_images(root / "clips" / name, number)
    arguments = [f"--data.init_args.root={root}", "--data.init_args.image_size=[48,64]"]
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(run, stage, *arguments, data="videos")) == 0
    kept = StageFolder(run / "segment").clips()
    assert kept is not None and sorted(name for names in kept.values() for name in names) == list("abcdefg")
    trained = [name for name in kept["train"]][-2:]
    for name in trained:
        write_masks(root / "masks" / name)
    write_images(root / "clips" / "h")
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 0
    assert f"Other clips of the training have some: --set 'clips={json.dumps(trained)}'" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--set", f"clips={json.dumps(trained)}"]) == 0
    (path,) = run.glob("results_clips*.json")
    results = json.loads(path.read_text())
    assert results["made_by"]["settings"]["transductive"] is True and list(results["clips"]) == trained
    for name in kept["test"]:
        write_masks(root / "masks" / name)
    assert main(["evaluate", str(run)]) == 0
    results = json.loads((run / "results.json").read_text())
    assert list(results["clips"]) == kept["test"] and results["made_by"]["settings"]["transductive"] is False
