"""Every command of the README and of the documents exists: targets, variables, configs, options. Nothing is run."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments import signatures
from experiments.cli import load
from experiments.commands import sweep, trial
from experiments.runs import lightning_cli
from experiments.runs.composition import CONFIGS, Composition
from experiments.trials.recipe import data_options
from experiments.trials.sweep import find_sweep
from tests.docs.relink import documents

OTHER_PROGRAMS = set("cd git export source ls cat open xdg-open rm mkdir pip wandb nvidia-smi".split())


def commands(text: str) -> Iterator[list[str]]:
    """Words of every command in the ``bash`` blocks; comments and line ends with a backslash are understood."""
    for block in re.findall(r"^```(?:bash|sh|shell|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|;|\|", re.sub(r"(^|\s)#.*", "", line)):
                words = shlex.split(part.removeprefix("$ "))
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # environment in front of a command
                    words = words[1:]
                if words:
                    yield words


def makefile(root: Path) -> tuple[set[str], set[str]]:
    """Targets and variables of the Makefile that its help speaks of."""
    text = (root / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE))
    return targets, set(re.findall(r"^([A-Z_]+) \?=", text, re.MULTILINE))


def check_python(words: list[str]) -> None:
    """Parse ``python -m experiments COMMAND …`` with the command's own parser."""
    command, *arguments = words
    if command == "sweep":
        given = signatures.arguments(command, sweep.sweep, arguments)
        own = {name: given[name] for name in ("run", "data", "profile", "background")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep, "clip_names", lambda _: ["clip"])  # the data are not there
            trials = sweep.plan(find_sweep(given["file"]), sweep.overruling(own, given["options"]))
        check_python(["trial", *trials[0].words()])  # tests/experiments/commands/test_sweep.py looks at the others
        return
    if command == "trial":
        planned = trial.read(arguments)
        for stage in (planned.inpaint_arguments(), planned.segment_arguments()):
            check_python(stage)
        return
    if command in ("fit", "validate", "test"):
        lightning_cli.understand([command, *arguments])
    else:
        parsed = signatures.understand(command, load(command), arguments)
        if command == "train":
            check_train(parsed[1].as_dict(), list(parsed[2][signatures.Filled.REST]))


def check_train(given: dict[str, Any], options: list[str]) -> None:
    """Parse both stages of a training."""
    assert given["data"] in ("demo", "videos") or given["root"], "this data set needs --root"
    root = [f"--data.init_args.root={given['root'] or '/videos'}"] if given["data"] != "demo" else []
    for stage in ("inpaint", "segment"):
        named = Composition(stage, given["data"], given["profile"], given["background"]).options()
        shared = options if stage == "segment" else data_options(options)
        lightning_cli.understand(["fit", *named, *root, *shared])


def check_make(root: Path, words: list[str]) -> None:
    """Look at targets and variables, then parse the commands that make would run."""
    targets, variables = makefile(root)
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            assert name in variables, f"make has no variable {name}"
            given[name] = value
        else:
            assert name in targets, f"make has no target {name}"
    if "DATA" in given:
        assert (CONFIGS / "data" / f"{given['DATA']}.yaml").is_file(), f"there is no data config {given['DATA']}"
        if {"baselines", "inspect", "prepare", "train", "train-inpaint", "train-seg"} & set(words):
            assert given["DATA"] == "demo" or "ROOT" in given, "this data set needs ROOT"
    if "PROFILE" in given:
        assert (CONFIGS / "profiles" / given["PROFILE"]).is_dir(), f"there is no profile {given['PROFILE']}"
    if "predict" in words:
        assert "INPUT" in given, "predict needs INPUT"
    for line in dry_run(root, words):
        if " -m experiments " in line:
            check_python(shlex.split(line.split(" -m experiments ")[1]))


def dry_run(root: Path, words: list[str]) -> list[str]:
    """What make would run."""
    done = subprocess.run(["make", "-n", *words], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.replace("\\\n", " ").splitlines()


def check(root: Path, words: list[str]) -> None:
    """Check one command."""
    program, *rest = words
    if program == "make":
        check_make(root, rest)
    elif Path(program).name.startswith("python"):
        assert rest[:2] == ["-m", "experiments"], f"not one of our commands: {shlex.join(words)}"
        check_python(rest[2:])
    elif program == "backdrop":
        check_python(rest)
    else:
        assert program in OTHER_PROGRAMS, f"{program} is not a program that the README may take for granted"


def test_every_command_of_the_readme_and_the_documents_exists(root: Path) -> None:
    found = {page: list(commands(page.read_text())) for page in documents(root)}
    readme, *others = found.values()
    assert ["make", "demo"] in readme and ["make", "test"] in readme
    assert sum(map(len, others)) > 50  # the pages below docs are looked at
    for page, words in ((page, words) for page, texts in found.items() for words in texts):
        try:
            check(root, words)
        except Exception as error:
            pytest.fail(f"{page.relative_to(root)}: {shlex.join(words)}: {error}")


@pytest.mark.parametrize(
    "command",
    [
        "make train-inpaint DATA=demo PRESET=static STEPS=10",
        "make train DATA=videos ROOT='/data/my videos' RUN=runs/mine SEED=1 ARGS='--trainer.precision 32-true'",
        "backdrop train my_videos/ --run runs/cats --each",
        "backdrop train a.mp4 b.mp4 --held-out 0.2 -- --model.init_args.learning_rate 0.01",
        "python -m experiments train --data davis --root /data/DAVIS --background temporal --device cuda",
        "make train-seg DATA=davis ROOT=/data/DAVIS CLIPS='dance-twirl parkour' EPOCHS=3 SEED=2",
        "make train-seg DATA=videos ROOT=/data/mine RUN=runs/mine ARGS='--model.init_args.learning_rate 0.01'",
        "make inspect DATA=ski ROOT=/data/Kuetai RUN=runs/ski",
        "make predict RUN=runs/demo INPUT='my video.mp4' OUTPUT=out ARGS='--save soft'",
        "make evaluate RUN=runs/demo ARGS='--checkpoint best'",
        "make sweep SWEEP=table4 DATA=ski ROOT=/data/ski PROFILE=paper RUN=runs/t4 PROCESSES=2 STEPS=10",
        "python -m experiments trial --run=runs/x --config=ablations/fig3/joint.yaml -- --trainer.max_steps 5",
        "python -m experiments table runs/fig3 runs/davis --output table.tex",
        "python -m experiments fit --config base.yaml --config inpaint.yaml --config data/demo.yaml "
        "--config profiles/paper/inpaint.yaml",
        "python -m experiments flops --profile paper",
        "make baselines DATA=davis ROOT=/data/DAVIS METHOD='mog2 flow' ARGS='--mog2.history 50'",
        "make prepare DATA=davis ROOT=/data/DAVIS ARGS='--data.init_args.store_limit_gb 50'",
        "python -m experiments benchmark data --long --output numbers.json",
    ],
)
def test_a_right_command_passes(root: Path, command: str) -> None:
    check(root, shlex.split(command))


@pytest.mark.parametrize(
    "command",
    [
        "make trane",
        "make train DATA=davis",
        "make train-seg DATASET=demo",
        "make train-seg DATA=kinetics",
        "make train-seg DATA=davis",
        "make train-seg PROFILE=huge",
        "make train-inpaint PRESET=drone",
        "make train-inpaint ARGS='--trainer.max_stepz 5'",
        "make predict RUN=runs/demo",
        "make train-inpaint CLIPS='bear camel'",
        "make train-seg DATA=ski ROOT=/x PRESET=ptz",
        "make train-seg BACKGROUND=plate",
        "make inspect DATA=handheld",
        "make inspect DATA=demo ARGS=--loud",
        "make baselines DATA=demo ARGS='--mog2.histori 50'",
        "make predict INPUT=a.mp4 ARGS=--loud",
        "python -m experiments evaluate",
        "backdrop train a.mp4 --device tpu",
        "backdrop train a.mp4 -- --trainer.max_stepz 5",
        "python -m experiments fit --config data/kinetics.yaml",
        "make prepare DATA=demo ARGS='--data.init_args.store_folder /scratch'",
        "python -m experiments benchmark disks",
        "make sweep SWEEP=fig9",
        "make sweep ARGS='--trainer.max_stepz 5'",
        "python -m experiments trial --run=runs/x --config=ablations/both.yaml",
        "python -m experiments table",
        "python train.py",
        "conda activate backdrop",
    ],
)
def test_a_wrong_command_is_seen(root: Path, command: str) -> None:
    with pytest.raises((Exception, pytest.fail.Exception)):
        check(root, shlex.split(command))


def test_blocks_are_read_as_a_shell_does() -> None:
    text = "```bash\n# set up\nmake demo  # 20 minutes\nWANDB_MODE=offline make a \\\n  B='c d'\n```\n"
    text += "```python\nx = 1\n```\n"
    assert list(commands(text)) == [["make", "demo"], ["make", "a", "B=c d"]]
