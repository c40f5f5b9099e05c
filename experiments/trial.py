"""``python -m experiments trial``: one trial of a sweep: stage 1, unless another trial has made it, stage 2, scores."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from experiments.composition import find_configs
from experiments.errors import CommandParser, RunError, UsageError, one_line
from experiments.evaluate import RESULTS, evaluate
from experiments.folders import StageFolder, write_atomically
from experiments.stages import alone, fit_arguments, train_stage

# The agent of W&B opens one run for each trial, which belongs to stage 2: stage 1 has a run of its own.
OF_THE_AGENT = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")
RECORD = "trial.json"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a trial learns, and so what may share a painter or be gone on with.

    Attributes:
        data: Data config.
        profile: Size profile.
        background: What predicts the background in stage 2.
        seed: Of both stages.
        settings: What the sweep varies: options of ``fit``, ``--name=value``, configs first, then by name; those of the
            data go to both stages.
        inpaint_options: Further options of stage 1.
        options: Further options of stage 2; those of the data go to both stages.
    """

    data: str
    profile: str
    background: str
    seed: int
    settings: tuple[str, ...] = ()
    inpaint_options: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def setting(self) -> str:
        """What is varied, in short: a name for all seeds."""
        return "-".join(map(short_name, self.settings)) or "default"

    @property
    def name(self) -> str:
        """Name of the trial."""
        return f"{self.setting}-seed{self.seed}"

    def painter(self) -> Recipe:
        """What of it decides stage 1; trials that agree in it share their painter."""
        data = tuple(data_options(self.settings))
        return replace(self, background="inpainting", settings=data, options=tuple(data_options(self.options)))


def short_name(setting: str) -> str:
    """A setting in a name: of a config its file's, of an option the last part of its name and the value.

    Args:
        setting: ``--config=ablations/joint.yaml`` or ``--model.init_args.s_min=0.1``.

    Returns:
        ``joint`` or ``s_min=0.1``, fit for a folder's name.
    """
    name, _, value = setting.removeprefix("--").partition("=")
    text = Path(value).stem if name == "config" else f"{name.split('.')[-1]}={value}"
    return re.sub(r"[^\w.=+-]+", "_", text)


def data_options(words: Sequence[str]) -> list[str]:
    """The options of the data among options of ``fit``.

    Args:
        words: Command-line words, ``--name=value`` or ``--name value``.

    Returns:
        Those of ``--data…``, in order.
    """
    found: list[str] = []
    for word, after in zip_longest(words, words[1:], fillvalue=""):
        if word == "--data" or word.startswith(("--data.", "--data=")):
            found += [word] if "=" in word else [word, after]
    return found


@dataclass(frozen=True)
class Trial:
    """A trial in the folder of its sweep.

    ::

        RUN/painters/seed0/inpaint/      stage 1, of all trials that agree in it
            joint-seed0/segment/         stage 2
                        results.json     the scores; the trial is done

    Attributes:
        run: The sweep's folder.
        recipe: What it is.
    """

    run: Path
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """Its run folder."""
        return self.run / self.recipe.name

    @property
    def results(self) -> Path:
        """Its scores."""
        return self.folder / RESULTS["held_out"]

    @property
    def painter(self) -> Path:
        """The run folder of its stage 1."""
        recipe = self.recipe.painter()
        return self.run / "painters" / (recipe.name if recipe.settings else f"seed{recipe.seed}")

    def done(self) -> bool:
        """Whether its scores are there.

        Raises:
            RunError: If the folder holds a trial of another recipe.
        """
        check(self.folder, self.recipe)
        return self.results.is_file()

    def inpaint_arguments(self) -> list[str]:
        """Command line of its stage 1."""
        r = self.recipe
        fit = fit_arguments("inpaint", self.painter / "inpaint", r.data, r.profile, r.background, r.seed)
        return [*fit, *data_options(r.settings), *data_options(r.options), *r.inpaint_options]

    def segment_arguments(self) -> list[str]:
        """Command line of its stage 2."""
        r = self.recipe
        fit = fit_arguments("segment", self.folder / "segment", r.data, r.profile, r.background, r.seed)
        painter = ["--model.init_args.inpainter_ckpt", str(StageFolder(self.painter / "inpaint").last)]
        tags = ["--run.tags", json.dumps([self.run.name, r.setting])]
        return [*fit, *painter, *tags, *r.settings, *r.options]


def check(folder: Path, recipe: Recipe) -> bool:
    """Whether a folder is that of a recipe.

    Args:
        folder: A trial's or a painter's folder.
        recipe: What should be in it.

    Returns:
        False where nothing is written down.

    Raises:
        RunError: If it is of another recipe.
    """
    record = folder / RECORD
    if not record.is_file():
        return False
    try:
        before: dict[str, Any] = json.loads(record.read_text())
    except ValueError as error:
        raise RunError(f"{record} is damaged: delete {folder}, and it is made anew.") from error
    now = json.loads(json.dumps(asdict(recipe)))
    for key in (key for key in now if before.get(key) != now[key]):
        raise RunError(
            f"{folder} was begun with {key} {_shown(before.get(key))}, and now it is {_shown(now[key])}: "
            "give the same again, choose another folder with --run, or delete that one."
        )
    return True


def _shown(value: object) -> str:
    """A part of a recipe in a message."""
    return shlex.join(map(str, value)) or "(none)" if isinstance(value, list) else str(value)


def prepare(folder: Path, recipe: Recipe, stage: StageFolder, keep_unfinished: bool) -> None:
    """Write down what a folder is for, and clear away a stage in it that is not finished.

    Training goes on from a checkpoint as well, but draws other frames than it would have without the interruption, so
    that the table of a sweep would depend on when it was interrupted.

    Args:
        folder: A trial's or a painter's folder.
        recipe: What is made in it.
        stage: The stage in it.
        keep_unfinished: Let training go on from the last checkpoint instead.

    Raises:
        RunError: If it is of another recipe.
    """
    known = check(folder, recipe)
    if known and not keep_unfinished and stage.path.is_dir() and not _finished(stage):
        shutil.rmtree(stage.path)
    if not known:
        write_atomically(folder / RECORD, json.dumps(asdict(recipe), indent=2) + "\n")


def _finished(stage: StageFolder) -> bool:
    """Whether a stage was trained to its end."""
    progress = stage.progress() if stage.config_file.is_file() else None
    return progress is not None and progress.reached(stage.config().get("trainer") or {})


def run_trial(trial: Trial, command: str, keep_unfinished: bool = False) -> dict[str, Any]:
    """Train what is not trained yet, and score it.

    Several processes may work on the trials of a folder: each painter and each trial is made by one of them.

    Args:
        trial: The trial.
        command: What the user typed, for the record.
        keep_unfinished: Go on from the last checkpoint of a stage that was interrupted, instead of beginning it anew.

    Returns:
        What is in its ``results.json``.

    Raises:
        KeyboardInterrupt: If a stage was interrupted.
        RunError: If a stage failed, or the folder is of other settings.
    """
    with alone(trial.folder) as mine:
        if not trial.done():
            with alone(trial.painter) as shared:
                stage = StageFolder(trial.painter / "inpaint")
                prepare(trial.painter, trial.recipe.painter(), stage, keep_unfinished)
                own = {name: value for name, value in os.environ.items() if name not in OF_THE_AGENT}
                if not _finished(stage):
                    train_stage(trial.inpaint_arguments(), "stage 1", own, (mine, shared))
            stage = StageFolder(trial.folder / "segment")
            prepare(trial.folder, trial.recipe, stage, keep_unfinished)
            if not _finished(stage):
                train_stage(trial.segment_arguments(), "stage 2", keep=(mine,))
            evaluate(trial.folder, command=command, setting=trial.recipe.setting)
        found: dict[str, Any] = json.loads(trial.results.read_text())
        return found


def argument_parser() -> CommandParser:
    """The options of ``trial``, without the settings."""
    parser = CommandParser(
        prog="python -m experiments trial",
        description=__doc__,
        allow_abbrev=False,
        epilog="All other options before -- are settings of the trial, --name=value, and name its folder in RUN; "
        "what follows -- are further options of fit for stage 2. Those of the data go to both stages.",
    )
    parser.add_argument("--run", type=Path, required=True, help="folder of the sweep, such as runs/fig3")
    parser.add_argument("--data", default="demo", help="data config (demo)")
    parser.add_argument("--profile", default="small", help="size profile (small)")
    parser.add_argument("--background", default="inpainting", choices=("inpainting", "static", "temporal"))
    parser.add_argument("--seed_everything", type=int, default=0, metavar="SEED", help="of both stages (0)")
    parser.add_argument("--inpaint-options", default="", metavar="'...'", help="options of fit for stage 1, one string")
    parser.add_argument(
        "--continue",
        dest="keep_unfinished",
        action="store_true",
        help="let an interrupted stage go on from its last checkpoint: for trainings of days. Else it begins anew, and "
        "the numbers are those of a sweep that was never interrupted",
    )
    return parser


def parse(arguments: Sequence[str]) -> tuple[Trial, bool]:
    """Understand the command line.

    Args:
        arguments: What follows the command's name.

    Returns:
        The trial, and whether ``--continue`` was given.

    Raises:
        RunError: If a config does not exist.
        UsageError: If a setting is not ``--name=value``.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    options, settings = argument_parser().parse_known_args(arguments[:end])
    for setting in settings:
        if not re.fullmatch(r"--[\w.]+=.*", setting, re.DOTALL):
            raise UsageError(f"{setting} is no setting of a trial: write it as --name=value, or after --")
    for config in (f"data/{options.data}.yaml", f"profiles/{options.profile}/segment.yaml"):
        find_configs(["--config", config])  # refuses one that does not exist
    recipe = Recipe(
        options.data,
        options.profile,
        options.background,
        options.seed_everything,
        tuple(sorted(settings, key=lambda word: (not word.startswith("--config="), word.split("=")[0]))),
        tuple(shlex.split(options.inpaint_options)),
        tuple(arguments[end + 1 :]),
    )
    return Trial(options.run, recipe), options.keep_unfinished


def summary(results: Mapping[str, Any]) -> str:
    """The main numbers of a trial, for a line of progress."""
    named = {"J": results.get("j_mean"), "hit rate": results.get("hit_rate")}
    return ", ".join(f"{name} {value:.3f}" for name, value in named.items() if value is not None)


def main(arguments: Sequence[str]) -> int:
    """The command ``trial``.

    Args:
        arguments: What follows the command's name.

    Returns:
        Exit code.
    """
    trial, keep_unfinished = parse(arguments)
    command = shlex.join(["python", "-m", "experiments", "trial", *arguments])
    try:
        results = run_trial(trial, command, keep_unfinished)
    except RunError as error:
        raise RunError(f"trial {trial.recipe.name}: {one_line(error)}") from error
    print(f"{trial.recipe.name}: {summary(results)}; numbers: {trial.results}", flush=True)
    return 0
