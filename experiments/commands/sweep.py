"""``sweep``: all trials of a sweep in W&B's format, on this machine, without an account."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from backdrop.errors import RunError, UsageError, one_line
from backdrop.files import write_text
from backdrop.program import program
from experiments.baselines import METHODS
from experiments.commands.trial import read
from experiments.results.comparison import build
from experiments.results.entries import read_entries
from experiments.results.overview import show
from experiments.results.record import RESULTS
from experiments.results.writers import FORMATS
from experiments.runs.stages import train_stage
from experiments.signatures import Rest, Typed
from experiments.trials.clips import clip_names, combined
from experiments.trials.recipe import CLIPS, Recipe, data_options
from experiments.trials.runner import run_all
from experiments.trials.sweep import EACH, OURS, find_sweep, grid, read_sweep, without
from experiments.trials.trial import Trial, check_settings


def sweep(
    file: str,
    options: Rest,
    command: Typed,
    run: str | None = None,
    data: str | None = None,
    profile: str | None = None,
    background: str | None = None,
    seed: int | None = None,
    inpaint_options: str | None = None,
    processes: int = 1,
    baselines: list[str] = [],  # noqa: B006  (nothing changes it)
    continue_: bool = False,
    dry_run: bool = False,
) -> None:
    """Make all trials of a sweep and their table; a model for each clip, with the sweep `each`. The same call goes on.

    Args:
        file: A sweep's file, or the name of a shipped one, such as fig3. `each` makes a model for each clip of davis,
            another benchmark or any folder of videos (--data), and one result of all; a file of yours does so with
            `data.init_args.clips: {values: each}`.
        options: What follows -- are options of fit for stage 2; those of the data go to both stages.
        command: As it was typed, for the record.
        run: Folder of the sweep; as its file says, where it is not given, as for what follows.
        data: Data config.
        profile: Size profile.
        background: What predicts the background in stage 2.
        seed: Seed of all trials, for a file that does not vary it.
        inpaint_options: Options of fit for stage 1, one string.
        processes: Trials at a time.
        baselines: Measure other methods too, all or some, in the same table; see backdrop baselines
            --help.
        continue_: See backdrop trial --help.
        dry_run: Only list the trials, if their settings fit.

    Raises:
        RunError: If a trial failed; the others are made, and their table is written, first.
    """
    if processes < 1:
        raise UsageError("--processes must be positive")
    if unknown := [name for name in baselines if name not in ("all", *METHODS)]:
        raise UsageError(f"There is no method {unknown[0]}: choose all, or some of {', '.join(METHODS)}.")
    given: dict[str, object] = {"run": run, "data": data, "profile": profile, "background": background}
    given |= {"seed_everything": seed, "inpaint-options": inpaint_options}
    trials = plan(find_sweep(file), overruling(given, options))
    todo = [trial for trial in trials if not trial.done()]
    folder = trials[0].run
    print(f"{len(trials)} trials in {folder}, {len(trials) - len(todo)} of them done", flush=True)
    check_settings(todo)
    if dry_run:
        for trial in trials:
            print(f"{trial.recipe.name}{'' if trial in todo else ' (done)'}")
        return
    failed = [trial.recipe.name for trial in run_all(todo, len(trials), processes, continue_)]
    if baselines:
        try:
            run_baselines(folder, baselines, [trial.recipe for trial in trials])
        except RunError as error:
            print(f"error: {one_line(error)}", file=sys.stderr, flush=True)
            failed.append("baselines")
    finish(trials, command)
    if failed:
        parts = len(trials) + bool(baselines)
        raise RunError(
            f"{len(failed)} of {parts} trials failed ({', '.join(failed)}): mend what is said above, and the "
            "same command goes on with them."
        )


def overruling(given: Mapping[str, object], options: Sequence[str]) -> list[str]:
    """The words of ``trial`` that win over those in a sweep's file: what is not None, then options of ``fit``."""
    words = [f"--{name}={value}" for name, value in given.items() if value is not None]
    return [*words, *(("--", *options) if options else ())]


def plan(path: Path, more: Sequence[str]) -> list[Trial]:
    """The trials of a sweep.

    Args:
        path: Its file.
        more: Options of ``trial`` that win over those in the file.

    Returns:
        The trials in order.

    Raises:
        RunError: If the file is not as expected, or two trials have the same name.
    """
    sweep = read_sweep(path)
    own = list(itertools.takewhile(lambda word: word != "--", more))
    overruled = {word.partition("=")[0] for word in own}
    fixed = without([str(word) for word in sweep["command"][len(OURS) : -1]], overruled)
    parameters, rest = sweep["parameters"], more[len(own) :]
    if parameters.get(CLIPS) == {"values": EACH}:
        names = clip_names(read([*fixed, *own, *rest]).recipe)
        parameters = parameters | {CLIPS: {"values": [json.dumps([name]) for name in names]}}
        rest = without(rest, {f"--{CLIPS}"})
    planned: dict[str, Trial] = {}
    for words in grid(parameters):
        trial = read([*fixed, *words, *own, *rest])
        if trial.recipe.name in planned:
            raise RunError(f"Two trials of {path} would be called {trial.recipe.name}: rename what they differ in.")
        planned[trial.recipe.name] = trial
    return list(planned.values())


def run_baselines(run: Path, methods: Sequence[str], recipes: Sequence[Recipe]) -> None:
    """Measure other methods on the data of a sweep, into its folder; what was measured before is skipped.

    Args:
        run: The sweep's folder.
        methods: Names of the methods, or ``all``.
        recipes: Of the trials.

    Raises:
        KeyboardInterrupt: If it was interrupted.
        RunError: If not one method could run, or the sweep varies the data.
    """
    clips = list(dict.fromkeys(recipe.clip for recipe in recipes if recipe.clip is not None))
    words = ((recipe.data, *recipe.without_clip().settings, *recipe.options) for recipe in recipes)
    data = {(name, *data_options(options)) for name, *options in words}
    if len(data) > 1:
        each = f"run `{program()} baselines` for each"
        raise RunError(f"The sweep varies the data, and other methods are measured on one: {each}.")
    ((name, *options),) = data
    options += [f"--{CLIPS}={json.dumps(clips)}"] if clips else []
    train_stage(["baselines", str(run), "--method", *methods, "--data", name, *options], "baselines")


def finish(trials: Sequence[Trial], command: str) -> None:
    """Print and write the table of all trials that are done, and of the baselines beside them.

    Args:
        trials: The trials.
        command: What the user typed, for the record.
    """
    run = trials[0].run
    if any(trial.recipe.clip is not None for trial in trials):
        made = combined(trials, command)
        for path, results in made.items():
            show(path, results)
        print(f"pictures: {run / '*' / 'segment' / 'images' / 'test_sheet.png'}")
        done = list(made)
    else:
        done = [trial.results for trial in trials if trial.results.is_file()]
    done += sorted(run.glob(f"baselines/*/{RESULTS['held_out']}"))
    if done:
        tables = build(read_entries(done), separate=True)
        for form in FORMATS.values():
            write_text(run / f"table.{form.suffix}", form.write(tables))
        print(FORMATS["markdown"].write(tables), end="")
        print(f"tables: {run / 'table.md'}, .tex, .csv")
