"""``python -m experiments report DIR``: one self-contained HTML page that compares the runs in a folder."""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path

from backdrop.files import write_text
from backdrop.progress import progress
from experiments.errors import CommandParser, RunError, warn
from experiments.reporting.page import page
from experiments.reporting.runs import find_runs
from experiments.runs import provenance
from experiments.signatures import Words


def report(root: Path, output: Path, command: str = "") -> int:
    """Write the report of the runs in a folder.

    Args:
        root: The folder; a run, or a folder that holds runs, however deep.
        output: The page.
        command: What the user typed, for the record.

    Returns:
        How many runs are in it.

    Raises:
        RunError: If there is no run, or the page cannot be written.
    """
    runs = find_runs(root)
    commit = provenance.commit()
    made = [command, f"commit {commit['commit'][:10]}"] if commit["commit"] else [command]
    made.append(datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    with progress(len(runs), "Reading pictures") as tick:
        html = page(runs, f"Runs in {root.resolve().name}", ", ".join(filter(None, made)), tick)
    for problem in (problem for run in runs for problem in run.problems):
        warn(problem)
    try:
        write_text(output, html)
    except OSError as error:
        raise RunError(f"{output} cannot be written ({error.strerror}): name another file with --output.") from error
    return len(runs)


def argument_parser() -> CommandParser:
    """The options of ``report``."""
    parser = CommandParser(prog="python -m experiments report", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a run, or a folder that holds runs, however deep")
    parser.add_argument("--output", type=Path, help="the page (DIR/report.html)")
    return parser


def main(arguments: Words) -> int:
    """The command ``report``.

    Args:
        arguments: What follows the command's name.

    Returns:
        Exit code.
    """
    options = argument_parser().parse_args(arguments)
    output = options.output or options.folder / "report.html"
    count = report(options.folder, output, shlex.join(["python", "-m", "experiments", "report", *arguments]))
    size = output.stat().st_size / 1e6
    print(f"report of {count} run{'s' if count > 1 else ''} ({size:.1f} MB): {output}")
    return 0
