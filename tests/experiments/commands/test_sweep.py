"""``sweep``: grids, resuming, failures, and a kill that leaves no trace in the table."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from backdrop.errors import RunError, Terminated
from experiments import cli
from experiments.cli import main
from experiments.commands import sweep
from experiments.commands.sweep import plan
from experiments.commands.trial import read
from experiments.runs import stages
from experiments.runs.composition import CONFIGS
from experiments.trials import runner
from experiments.trials.sweep import SWEEPS, find_sweep, grid, read_sweep, without
from experiments.trials.trial import Trial, check_settings
from tests.conftest import DEMO_COUNTS

EACH = SWEEPS / "each.yaml"  # which tests/experiments/trials/test_clips.py looks at
SHIPPED = sorted(path for path in SWEEPS.glob("*.yaml") if path != EACH)
COUNTS = {"fig3": 18, "table1_2": 3, "table3": 21, "table3_small": 15, "a7": 12}
COUNTS |= {"table4": 72, "table4_s_max": 18, "table4_3x3": 27}
TINY = ["--config", "debug.yaml", "--trainer.accelerator=cpu"]
DATA = [f"--data.init_args.{key}={n}" for key, n in DEMO_COUNTS.items()]
DATA += ["--data.init_args.image_size=[64, 64]"]
OPTIONS = ["--run=runs/two", f"--inpaint-options={' '.join(TINY)}", "--", *DATA, *TINY]
OPTIONS += ["--model.init_args.segmenter.init_args.crop_size=[64, 64]"]


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of two settings and two seeds, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    text = (SWEEPS / "fig3.yaml").read_text()
    sweep = yaml.safe_load(text)
    sweep["parameters"] = {
        "seed_everything": {"values": [0, 1]},
        "config": {"values": ["ablations/fig3/direct.yaml", "ablations/fig3/ours.yaml"]},
    }
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(sweep, sort_keys=False))
    return tmp_path


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make trials and train in this process, which saves the imports; names of what was trained."""
    trained: list[str] = []

    def train(arguments: list[str], **_: object) -> int:
        root = "--trainer.default_root_dir"
        trained.append(arguments[arguments.index(root) + 1] if root in arguments else arguments[0])
        return cli.main(arguments)

    def start(one: Trial, *_: object) -> Any:  # noqa: ANN401
        return Process(cli.main(["trial", *one.words()]))

    monkeypatch.setattr(stages, "train", train)
    monkeypatch.setattr(runner, "start", start)
    return trained


class Process(SimpleNamespace):
    """Stands in for a process that has ended."""

    def __init__(self, code: int) -> None:
        super().__init__(returncode=code, poll=lambda: code)

    __hash__ = object.__hash__


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_sweep_can_be_planned_and_every_config_in_it_is_shipped(path: Path) -> None:
    assert path.read_text().startswith("# ")
    planned = plan(path, ["--run=elsewhere", "--data=davis", "--profile=paper"])
    assert len(planned) == COUNTS[path.stem]
    for one in planned:
        assert (one.run, one.recipe.data, one.recipe.profile) == (Path("elsewhere"), "davis", "paper")
        assert [word for word in one.words() if word.startswith("--run")] == ["--run=elsewhere"]
        for word in one.recipe.settings:
            if word.startswith("--config="):
                assert (CONFIGS / word.removeprefix("--config=")).is_file()
    own = plan(path, [])[0]
    assert own.run == Path("runs") / path.stem
    assert {one.recipe.seed for one in planned} == {0, 1, 2}


def test_every_shipped_sweep_is_counted() -> None:
    assert {path.stem for path in SHIPPED} == set(COUNTS)
    assert find_sweep("fig3") == find_sweep("fig3.yaml") == SWEEPS / "fig3.yaml"
    with pytest.raises(RunError, match=r"no sweep fig9, .*\(a7, each, fig3, "):
        find_sweep("fig9")


def test_a_grid_is_given_as_wandb_gives_it() -> None:
    words = list(grid({"a.b": {"values": [1, 0.001]}, "c": {"value": "x y"}}))
    assert words == [["--a.b=1", "--c=x y"], ["--a.b=0.001", "--c=x y"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "bayes"}, "no `method: grid`"),
        ({"command": ["python", "train.py", "${args}"]}, "must begin with"),
        ({"parameters": {}}, "names no parameters"),
        ({"parameters": {"a": {"min": 0, "max": 1}}}, "parameter a of .* needs"),
        ({"parameters": {"a": {"values": []}}}, "parameter a of .* needs"),
    ],
)
def test_other_sweeps_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    changed = yaml.safe_load((SWEEPS / "fig3.yaml").read_text()) | change
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(RunError, match=message):
        read_sweep(tmp_path / "s.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match=r"s\.yaml cannot be read"):
        read_sweep(tmp_path / "s.yaml")


def test_an_option_that_is_given_anew_leaves_nothing_of_the_files_own() -> None:
    assert without(["--run", "runs/words", "--data=demo", "--x", "1"], {"--run"}) == ["--data=demo", "--x", "1"]


def test_settings_that_do_not_fit_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    changed = yaml.safe_load((SWEEPS / "table4.yaml").read_text())
    changed["parameters"] = {"model.init_args.detector.s_mni": {"values": [0.1]}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(RunError, match=r"Trial s_mni=0\.1-seed0 cannot be made: .*s_mni"):
        check_settings(plan(tmp_path / "s.yaml", [f"--run={tmp_path / 'run'}"]))
    assert not (tmp_path / "run").exists()


def test_baselines_are_of_the_data_of_the_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(sweep, "train_stage", lambda arguments, what: called.append(arguments))
    words = ["--run=x", "--seed_everything=1", "--data.init_args.preset=ptz", "--", "--data.init_args.root", "/y"]
    recipes = [read([f"--config=ablations/fig3/{name}.yaml", *words]).recipe for name in ("ours", "joint")]
    sweep.run_baselines(Path("x"), ["mog2"], recipes)
    options = ["--data.init_args.preset=ptz", "--data.init_args.root", "/y"]
    assert called == [["baselines", "x", "--method", "mog2", "--data", "demo", *options]]
    with pytest.raises(RunError, match="varies the data"):
        sweep.run_baselines(Path("x"), ["mog2"], [*recipes, read(["--run=x"]).recipe])


def test_settings_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.yaml").write_text("{}")
    changed = yaml.safe_load((SWEEPS / "fig3.yaml").read_text())
    changed["parameters"] = {"config": {"values": ["a/x.yaml", "b/x.yaml"]}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(RunError, match="would be called x-seed0"):
        plan(tmp_path / "s.yaml", [])


def test_a_sweep_trains_each_inpainter_once_fails_alone_and_goes_on(
    two: Path, in_this_process: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = two / "runs/two/ours-seed0"
    broken.mkdir(parents=True)
    (broken / "segment").mkdir()
    (broken / "segment" / "checkpoints").write_text("in the way")
    assert main(["sweep", "two.yaml", *OPTIONS]) == 1
    said = capsys.readouterr()
    assert "1 of 4 trials failed (ours-seed0)" in said.err and "going on with the next trial" in said.err
    names = [str(Path(name).relative_to("runs/two")) for name in in_this_process]
    assert names == [
        "inpainters/seed0/inpaint", "direct-seed0/segment", "ours-seed0/segment",
        "inpainters/seed1/inpaint", "direct-seed1/segment", "ours-seed1/segment",
    ]  # fmt: skip
    table = (two / "runs/two/table.md").read_text()
    assert table in said.out and "| direct | 2 | fixed |" in table and "| ours | 1 | fixed |" in table

    (broken / "segment" / "checkpoints").unlink()
    in_this_process.clear()
    assert main(["sweep", "two.yaml", *OPTIONS]) == 0
    assert in_this_process == ["runs/two/ours-seed0/segment"]
    table = (two / "runs/two/table.md").read_text()
    assert "| ours | 2 | fixed |" in table
    assert {"table.tex", "table.csv"} < {path.name for path in (two / "runs/two").iterdir()}

    before = {path: path.stat().st_mtime_ns for path in two.rglob("results.json")}
    assert main(["sweep", "two.yaml", *OPTIONS]) == 0  # all is done
    assert {path: path.stat().st_mtime_ns for path in two.rglob("results.json")} == before
    assert main(["sweep", "two.yaml", "--dry-run", *OPTIONS]) == 0
    assert "ours-seed1 (done)" in capsys.readouterr().out
    assert main(["sweep", "two.yaml", *OPTIONS, "--model.init_args.detector.s_min=0.3"]) == 1
    assert "was begun with options" in capsys.readouterr().err
    made = json.loads((two / "runs/two/ours-seed1/results.json").read_text())["made_by"]
    assert made["setting"] == "ours" and made["seed"] == 1 and made["command"].startswith("backdrop trial")
    assert made["settings"]["mode"] == "separate"

    (two / "runs/two/ours-seed0/results.json").write_text("{")
    assert main(["sweep", "two.yaml", *OPTIONS]) == 1
    assert "ours-seed0/results.json cannot be read as results" in capsys.readouterr().err
    (two / "runs/two/ours-seed0/results.json").unlink()
    assert main(["evaluate", "runs/two/ours-seed0"]) == 0  # a trial stays one, whoever scores it
    in_this_process.clear()
    assert main(["sweep", "two.yaml", "--baselines", "static_background", *OPTIONS]) == 0
    assert in_this_process == ["baselines"]
    table = (two / "runs/two/table.md").read_text()
    assert "| ours | 2 | fixed |" in table and "| static_background | 1 | fixed |" in table
    assert len(re.findall(r"^\*\*demo", table, re.MULTILINE)) == 1  # of one protocol


def test_an_interrupted_trial_ends_the_sweep(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(runner, "start", lambda one, *_: started.append(one.recipe.name) or Process(130))
    assert main(["sweep", "two.yaml", *OPTIONS]) == 130
    assert started == ["direct-seed0"]


def test_a_terminated_sweep_terminates_its_trials_and_waits_for_them(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def still_running() -> None:
        raise Terminated

    def start(*_: object) -> Process:
        process = Process(0)
        process.poll = still_running
        process.terminate = lambda: seen.append("terminate")
        process.wait = lambda: seen.append("wait")
        return process

    monkeypatch.setattr(runner, "start", start)
    assert main(["sweep", "two.yaml", "--processes=2", *OPTIONS]) == 143
    assert seen == ["terminate"] * 2 + ["wait"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_sweep_that_was_killed_gives_the_same_table_to_the_byte(two: Path, root: Path, processes: int) -> None:
    def run(folder: Path) -> subprocess.Popen[bytes]:
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "experiments", "sweep", str(two / "two.yaml"), f"--processes={processes}"]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        return subprocess.Popen([*command, *OPTIONS], cwd=folder, env=environment, start_new_session=True)

    killed = run(two / "killed")
    trials = two / "killed/runs/two"
    deadline = time.monotonic() + 1200
    while not (list(trials.glob("*/results.json")) and (trials / "ours-seed0/segment").exists()):
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert len(list(trials.glob("*/results.json"))) < 4 and not (trials / "table.md").exists()
    assert run(two / "killed").wait() == 0
    assert run(two / "undisturbed").wait() == 0
    for name in ("table.md", "table.tex", "table.csv"):
        assert (trials / name).read_bytes() == (two / "undisturbed/runs/two" / name).read_bytes()
