"""``table``: means over seeds, the paper's figures, what made each row, and protocols that must not be mixed."""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from backdrop.errors import RunError
from experiments.cli import main
from experiments.commands.sweep import plan
from experiments.results.comparison import PUBLISHED, build
from experiments.results.entries import read_entries
from experiments.results.writers import FORMATS
from experiments.trials.sweep import SWEEPS

Write = Callable[..., Path]
NUMBERS = {"j_mean": 0.5, "f_measure": 0.6, "precision": 0.7, "recall": 0.55, "boundary_f": 0.4, "hit_rate": 0.9}
DATA = {"root": "/x", "image_size": [384, 512], "preset": "static", "scale": 0.25, "held_out": 0.0}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(
        name: str, seed: int | None = 0, j: float = 0.5, made: dict[str, Any] | None = None,
        clips: tuple[str, ...] = ("a", "b"), data: dict[str, Any] | None = None, **settings: Any,  # noqa: ANN401
    ) -> Path:  # fmt: skip
        numbers = NUMBERS | {"j_mean": j}
        best = {f"best_{key}": value + 0.1 for key, value in numbers.items()} | {"best_threshold": 0.3 + j / 5}
        one = numbers | best | {"average_precision": 0.8, "frames": 20, "masks": 20}
        shared = {"data": "demo", "profile": "small", "scale": 0.25, "mode": "separate", "steps": 100}
        shared |= {"transductive": False, "threshold": 0.5, "thresholds": [0.25]}
        shared |= {"data_settings": {"class_path": "datamodules.DemoDataModule", "init_args": DATA | (data or {})}}
        record = {"command": f"python -m experiments evaluate {name}", "commit": "c" * 40, "dirty": False, "seed": seed}
        record |= {"settings": shared | settings, **(made or {})}
        floors = {"whole_frame": {key: 0.05 for key in one}}
        path = tmp_path / name / "results.json"
        path.parent.mkdir(parents=True)
        whole = one | {"clips": {clip: one for clip in clips}, "floors": floors, "made_by": record}
        path.write_text(json.dumps(whole))
        return path

    return write


def rows(paths: list[Path], separate: bool = False) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(FORMATS["csv"].write(build(read_entries(paths), separate)))))


def test_a_row_is_the_mean_and_the_spread_over_seeds(write: Write) -> None:
    paths = [write(f"run{seed}", seed, j) for seed, j in ((2, 0.6), (0, 0.4), (1, 0.5))]
    fixed, best, floor, _ = rows(paths)
    named = [fixed[name] for name in ("setting", "kind", "n_seeds", "seeds")]
    assert named == ["Backdrop, small", "fixed", "3", "0 1 2"]
    assert float(fixed["j_mean"]) == pytest.approx(0.5) and float(fixed["j_mean_std"]) == pytest.approx(0.1)
    assert float(fixed["hit_rate_std"]) == 0 and float(fixed["average_precision"]) == pytest.approx(0.8)
    assert best["threshold"] == "best: 0.38, 0.40, 0.42" and float(best["j_mean"]) == pytest.approx(0.6)
    assert best["average_precision"] == ""
    assert floor["setting"] == "whole frame" and floor["n_seeds"] == "" and floor["j_mean_std"] == ""
    assert fixed["commands"].split("; ") == [f"python -m experiments evaluate run{seed}" for seed in (0, 1, 2)]
    assert fixed["commits"] == "c" * 10
    assert rows(paths[:1])[0]["j_mean_std"] == ""  # a single seed has no spread


def test_markdown_and_latex_say_the_same(write: Write) -> None:
    tables = build(read_entries([write("a", 0, 0.4), write("b", 1, 0.6)]))
    text = FORMATS["markdown"].write(tables)
    assert "| Backdrop, small | 2 | fixed | 0.500 ± 0.141 | 0.600 ± 0.000 |" in text
    assert "|  |  | best: 0.38, 0.42 | 0.600 ± 0.141 |" in text and "chosen with the test labels" in text
    assert "demo, preset static, 20 frames of 2 clips, masks at 384x512" in text
    made = "`python -m experiments evaluate a` (and 1 more, with the other seed; commit cccccccccc)"
    assert f"- Backdrop, small: {made}" in text
    heads, _, *lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {heads.count("|")}
    tex = FORMATS["latex"].write(tables)
    assert r"Backdrop, small & 2 & fixed & 0.500 $\pm$ 0.141" in tex and tex.count(r"\toprule") == 1
    assert "% Backdrop, small: python -m experiments evaluate b" in tex
    body = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in body} == {heads.count("|") - 2}


def test_the_papers_figures_stand_beside_ours(write: Write) -> None:
    prior = write("v", made={"setting": "prior_v"})
    measured, best, paper, repeats = rows([prior])[:4]
    assert measured["j_mean"] == "0.5" and best["kind"] == "best"
    assert paper["setting"] == "paper, Table 3: v prior, ImageNet weights (Ski-PTZ, validation)"
    assert paper["kind"] == "published"
    assert (paper["j_mean"], paper["recall"], paper["n_seeds"]) == ("0.56", "0.52", "")
    assert (repeats["j_mean"], repeats["j_mean_std"]) == ("0.51", "0.01")
    joint = FORMATS["markdown"].write(build(read_entries([write("j", made={"setting": "joint"})])))
    assert "- the paper on joint: joint training gives boxes that are too large (Fig. 3)" in joint
    assert not any(row["kind"] == "published" for row in rows([write("plain")]))  # Table 2 is of other data


def test_figures_of_the_same_data_set_are_shown_beside_ours(write: Write) -> None:
    path = write("ski")
    whole = json.loads(path.read_text())
    whole["made_by"]["settings"]["data"] = "ski"
    path.write_text(json.dumps(whole))
    found = {(row["setting"], row["hit_rate"], row["j_mean"]) for row in rows([path]) if row["kind"] == "published"}
    assert found == {("paper, Table 1: Ours (Ski-PTZ)", "0.278", ""), ("paper, Table 2: Ours (Ski-PTZ)", "", "0.56")}


def test_what_is_published_is_about_trials_that_exist() -> None:
    entries = yaml.safe_load(PUBLISHED.read_text())
    files = [path for path in SWEEPS.glob("*.yaml") if path.stem != "each"]  # which varies no setting
    trials = {one.recipe.setting for path in files for one in plan(path, [])}
    named = {name for entry in entries for name in entry["of"] if "only_on" not in entry}
    assert named <= trials
    assert {name for name in trials if name.startswith("mask_prior_level=")} <= named  # all of Table 4
    for entry in entries:
        assert ("figures" in entry) != ("finding" in entry) and set(entry.get("figures", {})) <= set(NUMBERS)
        assert "figures" not in entry or 0 < max(entry["figures"].values()) < 1


def test_baselines_stand_in_the_same_table_with_their_time(write: Write) -> None:
    write("run")
    method = {"method": "videopca", "method_settings": {"components": 8}, "profile": "baseline", "mode": None}
    method |= {"transductive": None}
    path = write("run/baselines/videopca", made={"seconds_per_frame": 0.25, "dirty": True}, **method)
    found = rows([path.parent.parent.parent])
    assert [row["setting"] for row in found] == ["Backdrop, small"] * 2 + ["videopca"] * 2 + ["whole frame"] * 2
    assert found[2]["seconds_per_frame"] == "0.25" and found[0]["seconds_per_frame"] == ""
    assert [found[place]["commits"] for place in (0, 2)] == ["c" * 10, "c" * 10 + "-dirty"]


def test_times_stand_beside_baselines_alone(write: Write) -> None:
    trials = [write(f"t{seed}", seed, made={"setting": "ours", "seconds_per_frame": 0.1}) for seed in (0, 1)]
    assert "seconds_per_frame" not in rows(trials)[0]  # a table of trials is the same whenever it is made


def test_trainings_by_hand_are_among_the_commands(write: Write) -> None:
    trained = {"commits": ["d" * 40], "command": "fit segment", "inpainter_command": "fit inpaint"}
    assert rows([write("a", made={"trained_by": trained})])[0]["commands"] == (
        "fit inpaint; fit segment; python -m experiments evaluate a"
    )
    trial = write("b", made={"trained_by": trained, "command": "python -m experiments trial --run=b"})
    assert rows([trial])[0]["commands"] == "python -m experiments trial --run=b"


def test_of_several_models_the_commits_that_trained_them_are_named(write: Write) -> None:
    one = json.loads(write("one").read_text())["made_by"]
    models = {name: one | {"trained_by": {"commits": [name * 40]}} for name in "ab"}
    assert rows([write("all", made={"models": models})])[0]["commits"] == "a" * 10 + " " + "b" * 10


def test_a_result_of_several_models_tells_its_data_by_the_first(write: Write) -> None:
    one = write("clip")
    whole = json.loads(one.read_text())
    made = whole["made_by"]
    models = {"a": copy.deepcopy(made), "b": copy.deepcopy(made)}
    del made["settings"]["data_settings"]
    made["models"] = models
    path = one.parent.parent / "all" / "results.json"
    path.parent.mkdir()
    path.write_text(json.dumps(whole))
    assert read_entries([path])[0].protocol == read_entries([one])[0].protocol


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"clips": ("a", "c")}, "clips of the first only: b, of the second only: c"),
        ({"data": {"image_size": [96, 128]}}, r"image size \[384, 512\] and \[96, 128\]"),
        ({"data": {"preset": "ptz"}}, "preset static and ptz"),
        ({"data": {"held_out": 0.2}}, "part whole clips and held_out at 0.2"),
        ({"threshold": 0.4}, "fixed threshold 0.5 and 0.4"),
        ({"thresholds": [0.5]}, r"thresholds of the best \[0.25\] and \[0.5\]"),
        ({"subjects": 3}, "subjects 1 and 3"),
        ({"transductive": True}, "transductive False and True"),
    ],
)
def test_protocols_are_not_mixed(
    other: dict[str, Any], said: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [write("one"), write("two", 1, **other)]
    with pytest.raises(RunError, match=f"must not mix: .*{said}.*--separate"):
        build(read_entries(paths))
    assert main(["table", *map(str, paths), "--separate"]) == 0
    assert capsys.readouterr().out.count("| seeds |") == 2


def test_what_says_nothing_of_the_scoring_may_differ(write: Write) -> None:
    paths = [write("one"), write("two", 1, data={"store_limit_gb": 9.0, "num_workers": 4, "store_dir": "/z"})]
    assert rows(paths)[0]["n_seeds"] == "2"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"data": {"batch_size": 4}}, {"data": {"batch_size": 16}}, "batch_size=4"),
        ({"data": {"val_share": 0.1}}, {"data": {"val_share": 0.2}}, "val_share=0.1"),
        ({"inpainter_steps": 20}, {"inpainter_steps": 700}, "inpainter_steps=20"),
        ({"checkpoint": "x/last.ckpt"}, {"checkpoint": "x/best.ckpt"}, "checkpoint=last.ckpt"),
    ],
)
def test_other_trainings_are_rows_of_their_own(
    one: dict[str, Any], other: dict[str, Any], told: str, write: Write
) -> None:
    found = rows([write("one", **one), write("two", 1, **other)])
    assert [row["n_seeds"] for row in found if row["kind"] == "fixed"][:2] == ["1", "1"]
    assert found[0]["setting"] == f"Backdrop, small ({told})"


def test_every_result_is_compared_with_every_other(write: Write) -> None:
    paths = [write("none"), write("still", 1), write("moving", 2, data={"preset": "ptz"})]
    whole = json.loads(paths[0].read_text())
    del whole["made_by"]["settings"]["data_settings"]["init_args"]["preset"]
    paths[0].write_text(json.dumps(whole))
    with pytest.raises(RunError, match="preset static and ptz"):
        build(read_entries(paths))
    assert len(build(read_entries(paths), separate=True)) == 2


def test_settings_of_one_label_are_told_apart(write: Write) -> None:
    model = {"model_settings": {"s_min": 0.2, "mode": "separate"}}
    paths = [write("a", **model), write("b", 1, **model), write("c", model_settings={"s_min": 0.3, "mode": "separate"})]
    found = rows([*paths, write("d", steps=200, **model)])
    assert [(row["setting"], row["n_seeds"]) for row in found if row["kind"] == "fixed"][:3] == [
        ("Backdrop, small (s_min=0.2, steps=100)", "2"),
        ("Backdrop, small (s_min=0.3, steps=100)", "1"),
        ("Backdrop, small (s_min=0.2, steps=200)", "1"),
    ]


def test_what_the_plates_told_of_the_subject_makes_a_row(write: Write) -> None:
    paths = [write("a", data={"plate_evidence": "agreed"}), write("b", data={"plate_evidence": "one_subject"})]
    found = [row["setting"] for row in rows(paths) if row["kind"] == "fixed"][:2]
    assert found == ["Backdrop, small (plate_evidence=agreed)", "Backdrop, small (plate_evidence=one_subject)"]


def test_a_seed_counts_once(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    first, again = write("a"), write("b")
    with pytest.raises(RunError, match=r"same setting with the same seed, 0: .*NAME=PATH"):
        build(read_entries([first, again]))
    assert main(["table", f"old={first}", f"new={again.parent}"]) == 0
    shown = capsys.readouterr().out
    assert "| old: Backdrop, small | 1 |" in shown and "| new: Backdrop, small | 1 |" in shown
    assert len(read_entries([first, first.parent, first.parent.parent])) == 2  # of three paths to it and to another


def test_paths_without_results_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(tmp_path)]) == 1
    assert f"{tmp_path} holds no results.json" in capsys.readouterr().err
    (tmp_path / "results.json").write_text("{}")
    assert main(["table", str(tmp_path)]) == 1
    assert "cannot be read as results of this version (it holds no scores)" in capsys.readouterr().err
    assert main(["table", str(tmp_path / "none")]) == 1
    assert "There is nothing at" in capsys.readouterr().err


def test_a_table_is_written_in_the_format_of_its_file(write: Write, tmp_path: Path) -> None:
    run = str(write("run").parent)
    for name, begin in (("t.md", "**demo"), ("t.tex", "% Backdrop"), ("t.csv", "protocol,")):
        assert main(["table", run, "--output", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().startswith(begin)
    assert main(["table", run, "--format", "latex", "--output", str(tmp_path / "t.txt")]) == 0
    assert (tmp_path / "t.txt").read_text() == (tmp_path / "t.tex").read_text()


def test_names_are_no_markup(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """In CommonMark with tables a bar ends a cell, and <, [ and * begin mark-up, unless a backslash precedes them."""
    run = write("run").parent
    assert main(["table", f"one={run}"]) == 0
    plain = next(line for line in capsys.readouterr().out.splitlines() if "one: " in line)
    assert main(["table", f"a|b<i>*[x]={run}"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "b" in line and "x" in line and "|" in line)
    assert line == plain.replace("one: ", "a\\|b\\<i\\>\\*\\[x\\]: ")


def test_boxes_alone_make_a_table_without_thresholds(
    tmp_path: Path, fit_arguments: Callable[..., list[str]]
) -> None:
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(tmp_path, stage, data="h36m")) == 0
    assert main(["evaluate", str(tmp_path)]) == 0
    found = rows([tmp_path])
    assert [row["kind"] for row in found] == ["fixed", "published", "fixed", "fixed"]
    assert found[0]["hit_rate"] != "" and "j_mean" not in found[0] and found[0]["threshold"] == ""
    assert found[1]["hit_rate"] == "0.58"
