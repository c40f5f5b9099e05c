"""A model for each clip of a data set: which clips there are, and one result of all their models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl

from backdrop.errors import RunError
from datamodules import FramesDataModule
from datamodules.sets.data_set import ClipDataSet
from experiments.results.combined import combine
from experiments.results.record import RESULTS, Results
from experiments.signatures import Data, arguments
from experiments.trials.recipe import Recipe, data_options
from experiments.trials.trial import Trial


def clip_names(recipe: Recipe) -> list[str]:
    """The clips that a sweep makes a model for each of; nothing is decoded.

    Args:
        recipe: What its trials have in common.

    Returns:
        Those that the options of the data name; all that the data set holds where they name none.

    Raises:
        RunError: If a clip that is named does not exist, or the data set cannot be restricted to single clips.
        FileNotFoundError: If the folder of the data is not as expected.
    """
    options = [*data_options(recipe.settings), *data_options(recipe.options)]
    data = arguments("sweep", _data, ["--data", recipe.data, *options])["data"]
    if not isinstance(data, FramesDataModule) or not isinstance(data.data_set, ClipDataSet):
        raise RunError(f"{type(data).__name__} cannot be restricted to single clips: choose other data.")
    names, chosen = data.data_set.available_clips(), data.data_set.clips
    for name in chosen or ():
        if name not in names:
            raise RunError(f"Clip '{name}' does not exist; available: {', '.join(names)}.")
    return list(chosen or names)


def _data(data: Data[pl.LightningDataModule]) -> None:
    """Take what options of ``fit`` describe."""


def combined(trials: Sequence[Trial], command: str) -> dict[Path, Results]:
    """Make one result of the models of all clips, for each setting and seed of a sweep.

    Args:
        trials: All trials of the sweep.
        command: What the user typed, for the record.

    Returns:
        By the file that was written: ``RUN/results.json`` where the clips are all that is varied, else
        ``RUN/combined/joint-seed0/results.json``; without what is not complete, or has no scores.
    """
    groups: dict[Recipe, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.recipe.without_clip(), []).append(trial)
    written = {}
    for recipe, members in groups.items():
        scored = {trial.recipe.clip or "": trial.folder for trial in members if trial.results.is_file()}
        if scored and all(trial.results.is_file() or trial.unscored.is_file() for trial in members):
            folder = trials[0].run / "combined" / recipe.name if len(groups) > 1 else trials[0].run
            results = combine(scored, command)
            results.write(folder / RESULTS["held_out"])
            written[folder / RESULTS["held_out"]] = results
    return written
