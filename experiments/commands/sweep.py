"""``python -m experiments sweep FILE``: all trials of a sweep in W&B's format, on this machine, without an account."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError

from backdrop.files import write_text
from experiments.baselines import METHODS
from experiments.commands.trial import Trial, parse, summary
from experiments.errors import CommandParser, RunError, Terminated, one_line
from experiments.results.comparison import build
from experiments.results.entries import read_entries
from experiments.results.record import RESULTS, Results
from experiments.results.writers import FORMATS
from experiments.runs.lightning_cli import understand
from experiments.runs.progress_bar import duration
from experiments.runs.recipe import Recipe, data_options
from experiments.runs.stages import refuse_failure, train_stage
from experiments.signatures import Words

SWEEPS = Path(__file__).parent.parent / "sweeps"
OURS = ["${env}", "${interpreter}", "-m", "experiments", "trial"]
LOG = "log.txt"


@dataclass(frozen=True)
class Planned:
    """A trial that is to be made.

    Attributes:
        trial: The trial.
        arguments: Command line of ``python -m experiments trial``.
    """

    trial: Trial
    arguments: tuple[str, ...]


def find_sweep(name: str) -> Path:
    """A sweep's file.

    Args:
        name: Its path, or the name of a shipped one, with or without its suffix.

    Raises:
        RunError: If there is none; the message lists the shipped ones.
    """
    for path in (Path(name), SWEEPS / name, SWEEPS / f"{name}.yaml"):
        if path.is_file():
            return path
    shipped = ", ".join(sorted(path.stem for path in SWEEPS.glob("*.yaml")))
    raise RunError(f"There is no sweep {name}, neither here nor among the shipped ones ({shipped}).")


def load_sweep(path: Path) -> dict[str, Any]:
    """Read a sweep's file, in the format that ``wandb sweep`` reads.

    Args:
        path: The file.

    Returns:
        Its content; ``parameters`` is a mapping that is not empty.

    Raises:
        RunError: If it cannot be read or names no parameters.
    """
    try:
        sweep = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"The sweep {path} cannot be read ({one_line(error)}): give a W&B sweep file.") from error
    parameters = sweep.get("parameters") if isinstance(sweep, dict) else None
    if not isinstance(parameters, dict) or not parameters:
        raise RunError(f"The sweep {path} names no parameters: give a W&B sweep file.")
    found: dict[str, Any] = sweep
    return found


def read_sweep(path: Path) -> dict[str, Any]:
    """Read a sweep of ours.

    Args:
        path: The file, in the format that ``wandb sweep`` reads.

    Returns:
        Its ``parameters`` and ``command``.

    Raises:
        RunError: If it cannot be read, is no grid, or its command is not ``experiments trial``.
    """
    sweep = load_sweep(path)
    if sweep.get("method") != "grid":
        raise RunError(f"The sweep {path} has no `method: grid`: other methods are for `wandb sweep`.")
    command = sweep.get("command")
    if not isinstance(command, list) or command[: len(OURS)] != OURS or command[-1] != "${args}":
        raise RunError(f"The command of {path} must begin with {' '.join(OURS)} and end with ${{args}}.")
    for name, given in sweep["parameters"].items():
        kinds = {"value", "values"} & given.keys() if isinstance(given, dict) else set()
        if len(kinds) != 1 or ("values" in kinds and not (isinstance(given["values"], list) and given["values"])):
            raise RunError(f"The parameter {name} of {path} needs a `value` or a list of `values`.")
    return sweep


def grid(parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str]]:
    """Every combination of a sweep's parameters, as W&B gives them to a command.

    Args:
        parameters: By name, each with a ``value`` or ``values``; of two the latter changes faster.

    Yields:
        Words in place of ``${args}``.
    """
    choices = [given["values"] if "values" in given else [given["value"]] for given in parameters.values()]
    for values in itertools.product(*choices):
        yield [f"--{name}={value}" for name, value in zip(parameters, values, strict=True)]


def plan(path: Path, more: Sequence[str]) -> list[Planned]:
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
    overruled = {word.partition("=")[0] for word in itertools.takewhile(lambda word: word != "--", more)}
    fixed = without([str(word) for word in sweep["command"][len(OURS) : -1]], overruled)
    planned: dict[str, Planned] = {}
    for words in grid(sweep["parameters"]):
        arguments = (*fixed, *words, *more)
        trial, _ = parse(arguments)
        if trial.recipe.name in planned:
            raise RunError(f"Two trials of {path} would be called {trial.recipe.name}: rename what they differ in.")
        planned[trial.recipe.name] = Planned(trial, arguments)
    return list(planned.values())


def without(words: Sequence[str], names: Collection[str]) -> list[str]:
    """A command line without some options.

    Args:
        words: Words, ``--name=value`` or ``--name value``.
        names: Options, ``--name``.

    Returns:
        The other words.
    """
    left, dropped = [], False
    for word in words:
        if word.startswith("--"):
            dropped = word.partition("=")[0] in names
        left += [] if dropped else [word]
    return left


def look_at(todo: Iterable[Planned]) -> None:
    """Look whether the settings of trials fit, before hours are spent on those that do.

    Args:
        todo: The trials.

    Raises:
        RunError: If those of one do not; it says why.
    """
    seen = set[tuple[str, ...]]()
    for one in {one.trial.recipe.settings: one for one in todo}.values():  # seeds fit all alike
        for arguments in map(tuple, (one.trial.inpaint_arguments(), one.trial.segment_arguments())):
            try:
                if arguments not in seen:
                    understand(arguments)
            except ArgumentError as error:
                raise RunError(f"Trial {one.trial.recipe.name} cannot be made: {one_line(error)}") from error
            seen.add(arguments)


def start(one: Planned, to_a_file: bool, stack: ExitStack) -> subprocess.Popen[bytes]:
    """Start a trial in a process of its own.

    Args:
        one: The trial.
        to_a_file: Write what it says to ``log.txt`` in its folder, as several that speak at once cannot be understood.
        stack: Closes that file in the end.

    Returns:
        The process.
    """
    output = None
    if to_a_file:
        one.trial.folder.mkdir(parents=True, exist_ok=True)
        output = stack.enter_context((one.trial.folder / LOG).open("ab"))
    return subprocess.Popen(
        [sys.executable, "-m", "experiments", "trial", *one.arguments],
        stdout=output,
        stderr=subprocess.STDOUT if to_a_file else None,
    )


def run_all(todo: Sequence[Planned], total: int, processes: int) -> list[str]:
    """Make trials, several at a time.

    Args:
        todo: The trials.
        total: How many the sweep has, for the messages.
        processes: How many at a time.

    Returns:
        Names of those that failed.

    Raises:
        KeyboardInterrupt: If this process or a trial was interrupted; the other trials save what they have done first.
    """
    waiting, running, failed = list(todo), dict[subprocess.Popen[bytes], Planned](), list[str]()
    begin, ended = time.monotonic(), 0
    with ExitStack() as stack:
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    one = waiting.pop(0)
                    number = total - len(waiting)
                    where = f", see {one.trial.folder / LOG}" if processes > 1 else ""
                    print(f"trial {number} of {total}: {one.trial.recipe.name}{where}", flush=True)
                    running[start(one, processes > 1, stack)] = one
                time.sleep(0.1)
                for process in [process for process in running if process.poll() is not None]:
                    one, ended = running.pop(process), ended + 1
                    if not _succeeded(process.returncode, one, processes > 1):
                        failed.append(one.trial.recipe.name)
                    left = len(waiting) + len(running)
                    gone = time.monotonic() - begin
                    rest = f", {left} left, about {duration(gone / ended * left)}" if left else ""
                    bad = f" and {len(failed)} failed" if failed else ""
                    print(f"{ended - len(failed)} of {len(todo)} done{bad} in {duration(gone)}{rest}", flush=True)
        except KeyboardInterrupt as interruption:
            if isinstance(interruption, Terminated):  # Ctrl-C has reached them already, and a second call to end
                for process in running:  # would keep them from saving
                    process.terminate()
            for process in running:
                process.wait()
            raise type(interruption)(": the same command goes on with what is not done") from None
    return failed


def _succeeded(code: int, one: Planned, to_a_file: bool) -> bool:
    """Whether a trial ended well; says so, and ends everything where it was interrupted."""
    try:
        refuse_failure(code, f"trial {one.trial.recipe.name}")
        found = Results.read(one.trial.results).numbers
    except RunError as error:
        seen = f" in {one.trial.folder / LOG}" if to_a_file else ""
        print(f"error: {one_line(error)}{seen}; going on with the next trial", file=sys.stderr, flush=True)
        return False
    if to_a_file:  # else it has said so itself
        print(f"{one.trial.recipe.name}: {summary(found)}", flush=True)
    return True


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
    data = {(recipe.data, *data_options(recipe.settings), *data_options(recipe.options)) for recipe in recipes}
    if len(data) > 1:
        raise RunError("The sweep varies the data, and other methods are measured on one: run make baselines for each.")
    ((name, *options),) = data
    train_stage(["baselines", str(run), "--method", *methods, "--config", f"data/{name}.yaml", *options], "baselines")


def write_tables(run: Path, results: Sequence[Path]) -> str:
    """Write the table of all trials that are done, as ``table.md``, ``table.tex`` and ``table.csv``.

    Args:
        run: The sweep's folder.
        results: Their ``results.json``, and those of the baselines.

    Returns:
        The Markdown.
    """
    made = build(read_entries(results), separate=True)
    for form in FORMATS.values():
        write_text(run / f"table.{form.suffix}", form.write(made))
    return FORMATS["markdown"].write(made)


def argument_parser() -> CommandParser:
    """The options of ``sweep``."""
    parser = CommandParser(prog="python -m experiments sweep", description=__doc__)
    parser.add_argument("file", help="a sweep's file, or the name of a shipped one, such as fig3")
    parser.add_argument("--run", help="folder of the sweep (as its file says)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="trials at a time (1)")
    parser.add_argument("--data", help="data config (as the file says)")
    parser.add_argument("--profile", help="size profile (as the file says)")
    parser.add_argument("--background", choices=("inpainting", "static", "temporal"))
    parser.add_argument("--inpaint-options", metavar="'...'", help="options of fit for stage 1, one string")
    other = "measure other methods too, all or some, in the same table; see python -m experiments baselines --help"
    parser.add_argument("--baselines", nargs="+", choices=("all", *METHODS), metavar="METHOD", help=other)
    parser.add_argument(
        "--continue", dest="keep_unfinished", action="store_true", help="see python -m experiments trial --help"
    )
    parser.add_argument("--dry-run", action="store_true", help="only list the trials, if their settings fit")
    parser.epilog = "what follows -- are options of fit for stage 2; those of the data go to both stages"
    return parser


def plan_arguments(arguments: Sequence[str]) -> tuple[list[Planned], Namespace]:
    """The trials that a command line asks for.

    Args:
        arguments: What follows the command's name.

    Returns:
        The trials in order, and the options of :func:`argument_parser`.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    parser = argument_parser()
    options = parser.parse_args(arguments[:end])
    if options.processes < 1:
        parser.error("--processes must be positive")
    named = ("run", "data", "profile", "background", "inpaint_options")
    given = {name: getattr(options, name) for name in named if getattr(options, name) is not None}
    more = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    more += ["--continue"] if options.keep_unfinished else []
    return plan(find_sweep(options.file), [*more, *arguments[end:]]), options


def main(arguments: Words) -> int:
    """The command ``sweep``.

    Args:
        arguments: What follows the command's name.

    Returns:
        Exit code.

    Raises:
        RunError: If a trial failed; the others are made, and their table is written, first.
    """
    planned, options = plan_arguments(arguments)
    todo = [one for one in planned if not one.trial.done()]
    run = planned[0].trial.run
    print(f"{len(planned)} trials in {run}, {len(planned) - len(todo)} of them done", flush=True)
    look_at(todo)
    if options.dry_run:
        for one in planned:
            print(f"{one.trial.recipe.name}{'' if one in todo else ' (done)'}")
        return 0
    failed = run_all(todo, len(planned), options.processes)
    if options.baselines:
        try:
            run_baselines(run, options.baselines, [one.trial.recipe for one in planned])
        except RunError as error:
            print(f"error: {one_line(error)}", file=sys.stderr, flush=True)
            failed.append("baselines")
    done = [one.trial.results for one in planned if one.trial.results.is_file()]
    done += sorted(run.glob(f"baselines/*/{RESULTS['held_out']}"))
    if done:
        print(write_tables(run, done), end="")
        print(f"tables: {run / 'table.md'}, .tex, .csv")
    if failed:
        parts = len(planned) + bool(options.baselines)
        raise RunError(
            f"{len(failed)} of {parts} trials failed ({', '.join(failed)}): mend what is said above, and the "
            "same command goes on with them."
        )
    return 0
