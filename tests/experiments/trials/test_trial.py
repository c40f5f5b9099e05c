"""``trial``: names, what goes to which stage, shared inpainters, and what is done with what is there already."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backdrop.errors import RunError, UsageError
from backdrop.locks import flock
from experiments.commands.trial import read
from experiments.results.record import MadeBy, Results, Settings
from experiments.runs.folder import StageFolder
from experiments.runs.stages import alone, train
from experiments.trials.recipe import check, data_options, write_down
from experiments.trials.trial import Trial, make_stage


def trial(*words: str) -> Trial:
    return read(["--run=runs/x", *words])


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "default-seed0"),
        (['--data.init_args.clips=["monday/run 1"]'], "monday_run_1-seed0"),
        (['--data.init_args.clips=["a"]', "--config=ablations/fig3/joint.yaml"], "a-joint-seed0"),
        (["--data.init_args.clips=[a, b]"], "clips=_a_b_-seed0"),
        (["--config=ablations/fig3/joint.yaml", "--seed_everything=2"], "joint-seed2"),
        (["--ablation=gumbel_0.5"], "gumbel_0.5-seed0"),
        (["--config", "ablations/fig3/joint.yaml"], None),
        (["--model.init_args.detector.s_min=0.1", "--model.init_args.detector.s_max=0.5"], "s_max=0.5-s_min=0.1-seed0"),
        (["--model.init_args.segmenter.init_args.weights=/my nets/a.pth"], "segmenter_weights=_my_nets_a.pth-seed0"),
        (
            ["--model.init_args.estimator.samples=2", "--model.init_args.background.estimator.samples=4"],
            "background_estimator_samples=4-estimator_samples=2-seed0",
        ),
        (
            ["--model.init_args.detector.s_max=0.5", "--model.init_args.mask_prior.level=0.001"],
            "mask_prior_level=0.001-s_max=0.5-seed0",
        ),
    ],
)
def test_a_trial_is_called_after_what_is_varied(words: list[str], name: str | None) -> None:
    if name is None:
        with pytest.raises(UsageError, match="write it as --name=value"):
            trial(*words)
    else:
        assert trial(*words).recipe.name == name


def test_a_trial_says_how_it_is_made() -> None:
    words = ["--config=ablations/fig3/joint.yaml", "--seed_everything=2", "--background=temporal"]
    one = trial(*words, "--inpaint-options=--a 'b c'", "--", "--trainer.max_steps", "5")
    assert read(one.words()) == one


def test_the_name_of_a_clip_is_no_setting() -> None:
    words = trial('--data.init_args.clips=["bear"]').segment_arguments()
    assert "--run.setting" not in words and words[-2:] == ["--run.tags", '["x"]']
    assert trial('--data.init_args.clips=["bear"]').recipe.without_clip() == trial().recipe


def test_the_order_in_which_an_agent_gives_the_settings_does_not_matter() -> None:
    words = ["--model.init_args.box_fit=null", "--config=ablations/fig3/ours.yaml", "--model.init_args.lr_schedule=y"]
    assert trial(*words) == trial(*reversed(words))
    assert trial(*words).recipe.settings[0] == "--config=ablations/fig3/ours.yaml"  # options win over it


def test_options_of_the_data_go_to_both_stages_and_others_to_their_own() -> None:
    settings = ["--model.init_args.detector.s_min=0.3", "--data.init_args.preset=ptz"]
    more = ["--data.init_args.root", "/x", "--trainer.max_steps", "9"]
    one = trial("--inpaint-options=--trainer.max_steps 7", *settings, "--", *more)
    first, second = one.inpaint_arguments(), one.segment_arguments()
    for arguments in (first, second):
        assert "--data.init_args.preset=ptz" in arguments
        assert arguments[arguments.index("--data.init_args.root") + 1] == "/x"
    assert first[-2:] == ["--trainer.max_steps", "7"] and "--model.init_args.detector.s_min=0.3" not in first
    assert second[second.index("--trainer.max_steps") + 1] == "9" and "--model.init_args.detector.s_min=0.3" in second
    inpainter = second[second.index("--model.init_args.inpainter_ckpt") + 1]
    assert inpainter == str(one.inpainter / "inpaint" / "checkpoints" / "last.ckpt")
    words = ["--data", "X", "--data=Y", "--database", "--data.a=1"]
    assert data_options(words) == ["--data", "X", "--data=Y", "--data.a=1"]


def test_the_name_of_a_trial_wins_over_that_of_its_config() -> None:
    words = trial("--config=ablations/fig3/joint.yaml", "--model.init_args.detector.s_min=0.1").segment_arguments()
    assert words.index("--config=ablations/fig3/joint.yaml") < words.index("--run.setting")
    assert words[words.index("--run.setting") + 1] == "joint-s_min=0.1"


def test_trials_share_an_inpainter_where_stage_1_is_the_same() -> None:
    joint, ours = (trial(f"--config=ablations/fig3/{name}.yaml", "--seed_everything=1") for name in ("joint", "ours"))
    assert joint.inpainter == ours.inpainter == Path("runs/x/inpainters/seed1")
    assert joint.recipe.inpainter() == ours.recipe.inpainter()
    other = trial("--config=ablations/fig3/ours.yaml", "--data.init_args.preset=ptz")
    assert other.inpainter == Path("runs/x/inpainters/preset=ptz-seed0")
    assert trial("--inpaint-options=--trainer.max_steps 7").recipe.inpainter() != trial().recipe.inpainter()
    assert trial("--", "--trainer.max_steps", "7").recipe.inpainter() == trial().recipe.inpainter()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="--data kinetics is unknown: choose cdnet, davis, "):
        trial("--data=kinetics")
    with pytest.raises(UsageError, match="--profile huge is unknown: choose paper, small"):
        trial("--profile=huge")
    for words in (["--config=ablations/nope.yaml"], ["--", "--config", "ablations/nope.yaml"]):
        with pytest.raises(RunError, match=r"no config ablations/nope\.yaml"):
            trial(*words)


def test_a_folder_belongs_to_one_recipe(tmp_path: Path) -> None:
    recipe = trial("--config=ablations/fig3/ours.yaml", "--", "--trainer.max_steps=3").recipe
    assert not check(tmp_path, recipe)
    write_down(tmp_path, recipe)
    assert check(tmp_path, recipe)
    with pytest.raises(RunError, match=r"begun with settings --config=.*, and now it is \(none\): .*--run"):
        check(tmp_path, trial("--", "--trainer.max_steps=3").recipe)
    for damaged in ("{", "[]", "{}"):
        (tmp_path / "trial.json").write_text(damaged)
        with pytest.raises(RunError, match="damaged"):
            check(tmp_path, recipe)


class Stage:
    """A stage whose training is only counted."""

    def __init__(self, folder: Path, trained: Path) -> None:
        self.folder, self.there, self.calls = folder, StageFolder(folder / "segment"), 0
        shutil.copytree(trained / "segment", self.there.path)

    def train(self) -> None:
        self.calls += 1

    def make(self, keep_unfinished: bool = False) -> None:
        make_stage(self.folder, trial().recipe, self.there, self.train, keep_unfinished)

    def interrupt(self) -> None:
        config = self.there.config()
        config["trainer"]["max_steps"] = 4
        self.there.config_file.write_text(yaml.safe_dump(config))


@pytest.mark.parametrize("keep_unfinished", [False, True])
def test_an_interrupted_stage_begins_anew_unless_it_is_to_go_on(
    keep_unfinished: bool, trained: Path, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, trained)
    write_down(tmp_path, trial().recipe)
    stage.make(keep_unfinished)
    assert stage.there.last.is_file() and stage.calls == 0  # finished
    stage.interrupt()
    stage.make(keep_unfinished)
    assert stage.there.last.is_file() == keep_unfinished and stage.calls == 1


def test_a_stage_of_nobodys_recipe_is_looked_at_by_the_training_first(trained: Path, tmp_path: Path) -> None:
    stage = Stage(tmp_path, trained)

    def refuse() -> None:
        raise RunError("other settings")

    with pytest.raises(RunError, match="other settings"):
        make_stage(tmp_path, trial().recipe, stage.there, refuse, False)
    assert not check(tmp_path, trial().recipe) and stage.there.last.is_file()
    stage.make()
    assert stage.calls == 1 and check(tmp_path, trial().recipe) and stage.there.last.is_file()
    stage.make()
    assert stage.calls == 1


def test_results_count_where_it_is_known_what_they_are_of(tmp_path: Path) -> None:
    one = read([f"--run={tmp_path}"])
    one.folder.mkdir()
    settings = Settings(data="demo", profile="small", scale=1.0, mode="separate")
    made_by = MadeBy(command="", commit=None, dirty=None, seed=0, settings=settings)
    results = Results(numbers={"j_mean": 0.5}, clips={}, floors={}, made_by=made_by)
    results.write(one.results)
    assert Results.read(one.results) == results
    assert not one.done()
    write_down(one.folder, one.recipe)
    assert one.done()
    one.results.unlink()
    assert not one.done()
    one.unscored.write_text("nothing to score")
    assert one.done()
    one.results.write_text("{")
    with pytest.raises(RunError, match=r"results\.json cannot be read as results .*: delete it, and the command"):
        one.done()


def test_a_lock_lasts_as_long_as_the_training_that_was_started(tmp_path: Path) -> None:
    def free() -> bool:
        with flock(tmp_path / ".lock", wait=False) as held:
            return held

    with alone(tmp_path) as handle:
        child = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=[handle], stdin=subprocess.PIPE)
    assert not free()  # as after the death of the process that held it
    child.communicate(b"\n")
    assert free()


def test_the_environment_of_a_training_can_be_chosen(tmp_path: Path) -> None:
    code = f"import os, json; json.dump(sorted(os.environ), open({str(tmp_path / 'names')!r}, 'w'))"
    assert train([code], (sys.executable, "-c"), {"ONLY": "this"}) == 0
    names = json.loads((tmp_path / "names").read_text())
    assert "ONLY" in names and "HOME" not in names
