"""``trial``: one trial of a sweep."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from backdrop.errors import GO_ON, RunError, one_line
from experiments.runs.composition import Composition, compose
from experiments.signatures import Rest, Settings, Typed, arguments
from experiments.trials.recipe import Recipe, by_name
from experiments.trials.trial import Trial, check_settings, run_trial


def trial(
    settings: Settings,
    options: Rest,
    command: Typed,
    run: Path = Path("runs/trials"),
    data: str = "demo",
    profile: str = "small",
    background: str = "inpainting",
    seed_everything: int = 0,
    inpaint_options: str = "",
    continue_: bool = False,
) -> None:
    """Make one trial of a sweep: stage 1, unless another trial has made it, stage 2, scores.

    Args:
        settings: All other options before -- are settings of the trial, --name=value, and name its folder in the
            sweep's.
        options: What follows -- are further options of fit for stage 2; those of the data go to both stages.
        command: As it was typed, for the record.
        run: Folder of the sweep.
        data: Data config.
        profile: Size profile.
        background: What predicts the background in stage 2.
        seed_everything: Seed of both stages.
        inpaint_options: Options of fit for stage 1, one string.
        continue_: Let an interrupted stage go on from its last checkpoint, for trainings of days. Else it begins anew,
            and the numbers are those of a sweep that was never interrupted.

    Raises:
        RunError: If a stage failed, or the folder is of other settings.
    """
    made = _trial(settings, options, run, data, profile, background, seed_everything, inpaint_options)
    if not made.done():
        check_settings([made])  # of stage 2 too, before hours of stage 1
    try:
        print(f"{made.recipe.name}: {run_trial(made, command, continue_)}", flush=True)
    except KeyboardInterrupt as interruption:
        anew = f": trial {made.recipe.name} begins this stage anew when it is called again"
        raise type(interruption)(GO_ON if continue_ else anew) from None
    except RunError as error:
        raise RunError(f"trial {made.recipe.name}: {one_line(error)}") from error


def read(words: Sequence[str]) -> Trial:
    """The trial that a command line describes.

    Args:
        words: What follows the command's name.

    Raises:
        ArgumentError: If an option is wrong.
        RunError: If a config file does not exist.
        UsageError: If a name is unknown, or a setting is not ``--name=value``.
    """
    given = arguments("trial", trial, words)
    return _trial(**{name: value for name, value in given.items() if name not in ("command", "continue_")})


def _trial(
    settings: Sequence[str],
    options: Sequence[str],
    run: Path,
    data: str,
    profile: str,
    background: str,
    seed_everything: int,
    inpaint_options: str,
) -> Trial:
    """See :func:`trial`."""
    first = shlex.split(inpaint_options)
    compose([*Composition("segment", data, profile, background).options(), *settings, *options])  # refuses the unknown
    compose(first)
    ordered = sorted(settings, key=by_name)
    recipe = Recipe(data, profile, background, seed_everything, tuple(ordered), tuple(first), tuple(options))
    return Trial(run, recipe)
