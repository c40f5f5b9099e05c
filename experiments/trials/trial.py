"""A trial: stage 1, unless another trial has made it, stage 2, scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jsonargparse import ArgumentError

from backdrop.errors import RunError, UsageError, in_words, one_line
from backdrop.files import write_text
from backdrop.program import own_environment
from experiments.results.evaluation import NothingToScore, evaluate
from experiments.results.record import RESULTS, Results
from experiments.runs.folder import StageFolder
from experiments.runs.lightning_cli import understand
from experiments.runs.stages import alone, fit_arguments, train_stage
from experiments.trials.recipe import Recipe, check, data_options, write_down

# The agent of W&B opens one run for each trial, which belongs to stage 2: stage 1 has a run of its own.
OF_THE_AGENT = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")


@dataclass(frozen=True)
class Trial:
    """A trial in the folder of its sweep.

    ::

        RUN/inpainters/seed0/inpaint/    stage 1, of all trials that agree in it, where one asks an inpainter
            joint-seed0/segment/         stage 2
                        results.json     the scores; the trial is done
                        unscored.txt     instead, where no test clip has a mask or a box

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
    def unscored(self) -> Path:
        """Says why there are no scores."""
        return self.folder / "unscored.txt"

    @property
    def inpainter(self) -> Path:
        """The run folder of its stage 1."""
        recipe = self.recipe.inpainter()
        return self.run / "inpainters" / (recipe.name if recipe.settings else f"seed{recipe.seed}")

    def done(self) -> bool:
        """Whether its scores are there, or cannot be.

        Raises:
            RunError: If the folder holds a trial of another recipe, or the scores are damaged.
        """
        if not check(self.folder, self.recipe):
            return False
        if self.results.is_file():
            Results.read(self.results)
        return self.results.is_file() or self.unscored.is_file()

    def words(self) -> list[str]:
        """The words of the command ``trial`` that make it."""
        return [f"--run={self.run}", *self.recipe.words()]

    def inpaint_arguments(self) -> list[str]:
        """Command line of its stage 1."""
        r = self.recipe
        fit = fit_arguments("inpaint", self.inpainter / "inpaint", r.data, r.profile, r.background, r.seed)
        return [*fit, *data_options(r.settings), *data_options(r.options), *r.inpaint_options]

    def segment_arguments(self, over_inpainter: bool = True) -> list[str]:
        """Command line of its stage 2.

        Args:
            over_inpainter: Whether it is trained over an inpainter.
        """
        r = self.recipe
        fit = fit_arguments("segment", self.folder / "segment", r.data, r.profile, r.background, r.seed)
        last = str(StageFolder(self.inpainter / "inpaint").last)
        inpainter = ["--model.init_args.inpainter_ckpt", last] if over_inpainter else []
        names = [r.setting] if r.setting is not None else []
        setting = ["--run.setting", *names] if names else []
        tags = ["--run.tags", json.dumps([self.run.name, *names])]
        return [*fit, *inpainter, *r.settings, *r.options, *setting, *tags]  # an ablation's own name is not the trial's


def check_settings(todo: Iterable[Trial]) -> None:
    """Look whether the settings of trials fit, before hours are spent on those that do.

    Args:
        todo: The trials.

    Raises:
        RunError: If those of one do not; it says why.
    """
    seen = set[tuple[str, ...]]()
    alike = {trial.recipe.without_clip().settings: trial for trial in reversed([*todo])}  # seeds and clips fit alike
    for trial in reversed([*alike.values()]):
        for arguments in map(tuple, (trial.inpaint_arguments(), trial.segment_arguments())):
            try:
                if arguments not in seen:
                    understand(arguments)
            except (ArgumentError, RunError, UsageError, ValueError) as error:
                raise RunError(f"Trial {trial.recipe.name} cannot be made: {in_words(error)}") from error
            seen.add(arguments)


def make_stage(
    folder: Path, recipe: Recipe, stage: StageFolder, train: Callable[[], None], keep_unfinished: bool
) -> None:
    """Train a stage, unless it is finished; begin it anew where it was interrupted.

    Training goes on from a checkpoint as well, but draws other frames than it would have without the interruption, so
    that the table of a sweep would depend on when it was interrupted.

    Args:
        folder: A trial's or an inpainter's folder.
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


def run_trial(trial: Trial, command: str, keep_unfinished: bool = False) -> str:
    """Train what is not trained yet, and score it.

    Several processes may work on the trials of a folder: each inpainter and each trial is made by one of them.

    Args:
        trial: The trial.
        command: What the user typed, for the record.
        keep_unfinished: Go on from the last checkpoint of a stage that was interrupted, instead of beginning it anew.

    Returns:
        See :func:`summary`.

    Raises:
        KeyboardInterrupt: If a stage was interrupted.
        RunError: If a stage failed, or the folder is of other settings.
    """
    with alone(trial.folder) as mine:
        if not trial.done():
            asked = understand(trial.segment_arguments()).asks_inpainter
            if asked:
                _make_inpainter(trial, keep_unfinished, mine)
            train = partial(train_stage, trial.segment_arguments(asked), "stage 2", keep=(mine,))
            make_stage(trial.folder, trial.recipe, StageFolder(trial.folder / "segment"), train, keep_unfinished)
            try:
                evaluate(trial.folder, command)
            except NothingToScore as reason:
                write_text(trial.unscored, f"{one_line(reason)}\n")
        return summary(trial)


def _make_inpainter(trial: Trial, keep_unfinished: bool, lock: int) -> None:
    """Train stage 1, unless another trial has; ``lock`` is the descriptor of the trial's own lock."""
    with alone(trial.inpainter) as shared:
        own = {name: value for name, value in own_environment().items() if name not in OF_THE_AGENT}
        train = partial(train_stage, trial.inpaint_arguments(), "stage 1", own, (lock, shared))
        inpainter = StageFolder(trial.inpainter / "inpaint")
        make_stage(trial.inpainter, trial.recipe.inpainter(), inpainter, train, keep_unfinished)


def summary(trial: Trial) -> str:
    """The main numbers of a trial that is done, for a line of progress; why there are none where there is not one.

    Raises:
        RunError: If they cannot be read.
    """
    trust = StageFolder(trial.folder / "segment").trust()
    agree = f"the cues agree in {trust[0]:.0%} of the frames" if trust is not None else ""
    if not trial.results.is_file() and trial.unscored.is_file():
        reason = trial.unscored.read_text(encoding="utf-8").strip()
        return f"{agree}; not scored, as it has no masks or boxes" if agree else reason
    numbers = Results.read(trial.results).numbers
    named = {"J": numbers.get("j_mean"), "hit rate": numbers.get("hit_rate")}
    shown = ", ".join(f"{name} {value:.3f}" for name, value in named.items() if value is not None)
    return "; ".join(filter(None, (shown, agree, f"numbers: {trial.results}")))
