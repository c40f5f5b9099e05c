"""``python -m experiments trial``: one trial of a sweep: stage 1, unless another trial has made it, stage 2, scores."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.errors import CommandParser, RunError, UsageError, one_line
from experiments.results.evaluation import evaluate
from experiments.results.record import RESULTS, Numbers, Results
from experiments.runs.composition import find_configs
from experiments.runs.folder import StageFolder
from experiments.runs.recipe import Recipe, by_name, check, data_options, write_down
from experiments.runs.stages import GO_ON, alone, fit_arguments, train_stage
from experiments.signatures import Words

# The agent of W&B opens one run for each trial, which belongs to stage 2: stage 1 has a run of its own.
OF_THE_AGENT = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")


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
            RunError: If the folder holds a trial of another recipe, or the scores are damaged.
        """
        if not check(self.folder, self.recipe) or not self.results.is_file():
            return False
        Results.read(self.results)
        return True

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
        names = ["--run.setting", r.setting, "--run.tags", json.dumps([self.run.name, r.setting])]
        return [*fit, *painter, *r.settings, *r.options, *names]  # the name of an ablation's config is not the trial's


def make_stage(
    folder: Path, recipe: Recipe, stage: StageFolder, train: Callable[[], None], keep_unfinished: bool
) -> None:
    """Train a stage, unless it is finished; begin it anew where it was interrupted.

    Training goes on from a checkpoint as well, but draws other frames than it would have without the interruption, so
    that the table of a sweep would depend on when it was interrupted.

    Args:
        folder: A trial's or a painter's folder.
        recipe: What is made in it.
        stage: The stage in it.
        train: Trains it; leaves alone what is finished, and refuses what has other settings.
        keep_unfinished: Let training go on from the last checkpoint instead.

    Raises:
        KeyboardInterrupt: If it was interrupted.
        RunError: If the folder is of another recipe, or the training failed.
    """
    known = check(folder, recipe)
    if known and _finished(stage):
        return
    if known and not keep_unfinished and stage.path.is_dir():
        shutil.rmtree(stage.path)
    if not stage.path.is_dir():
        write_down(folder, recipe)
    train()
    write_down(folder, recipe)  # a stage that nobody has written down is of this recipe, as `train` has taken it


def _finished(stage: StageFolder) -> bool:
    """Whether a stage was trained to its end."""
    progress = stage.progress() if stage.config_file.is_file() else None
    return progress is not None and progress.reached(stage.config().get("trainer") or {})


def run_trial(trial: Trial, command: str, keep_unfinished: bool = False) -> Results:
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
                own = {name: value for name, value in os.environ.items() if name not in OF_THE_AGENT}
                train = partial(train_stage, trial.inpaint_arguments(), "stage 1", own, (mine, shared))
                painter = StageFolder(trial.painter / "inpaint")
                make_stage(trial.painter, trial.recipe.painter(), painter, train, keep_unfinished)
            train = partial(train_stage, trial.segment_arguments(), "stage 2", keep=(mine,))
            make_stage(trial.folder, trial.recipe, StageFolder(trial.folder / "segment"), train, keep_unfinished)
            evaluate(trial.folder, command)
        return Results.read(trial.results)


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
    inpaint_options, more = shlex.split(options.inpaint_options), arguments[end + 1 :]
    own = [f"--config=data/{options.data}.yaml", f"--config=profiles/{options.profile}/segment.yaml"]
    find_configs([*own, *settings, *inpaint_options, *more])  # refuses one that does not exist
    recipe = Recipe(
        options.data,
        options.profile,
        options.background,
        options.seed_everything,
        tuple(sorted(settings, key=by_name)),
        tuple(inpaint_options),
        tuple(more),
    )
    return Trial(options.run, recipe), options.keep_unfinished


def summary(numbers: Numbers) -> str:
    """The main numbers of a trial, for a line of progress."""
    named = {"J": numbers.get("j_mean"), "hit rate": numbers.get("hit_rate")}
    return ", ".join(f"{name} {value:.3f}" for name, value in named.items() if value is not None)


def main(arguments: Words) -> int:
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
    except KeyboardInterrupt as interruption:
        anew = f": trial {trial.recipe.name} begins this stage anew when it is called again"
        go_on = GO_ON if keep_unfinished else anew
        raise type(interruption)(go_on) from None
    except RunError as error:
        raise RunError(f"trial {trial.recipe.name}: {one_line(error)}") from error
    print(f"{trial.recipe.name}: {summary(results.numbers)}; numbers: {trial.results}", flush=True)
    return 0
