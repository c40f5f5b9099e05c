"""``report``: one self-contained HTML page that compares the runs in a folder."""

from __future__ import annotations

import datetime
from pathlib import Path

from backdrop.errors import RunError, warn
from backdrop.files import write_text
from backdrop.progress import progress
from experiments.reporting.page import page
from experiments.reporting.runs import find_runs
from experiments.runs import provenance
from experiments.signatures import Typed


def report(folder: Path, command: Typed, output: Path | None = None) -> None:
    """Write one HTML page that compares the runs in a folder, without an account.

    Args:
        folder: A run, or a folder that holds runs, however deep.
        command: As it was typed, for the record.
        output: The page; FOLDER/report.html where it is not given.

    Raises:
        RunError: If there is no run, or the page cannot be written.
    """
    output = output or folder / "report.html"
    runs = find_runs(folder)
    commit = provenance.commit()
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    made = ", ".join([command, *([f"commit {commit['commit'][:10]}"] if commit["commit"] else []), date])
    with progress(len(runs), "Reading pictures") as tick:
        html = page(runs, f"Runs in {folder.resolve().name}", made, tick)
    for problem in (problem for run in runs for problem in run.problems):
        warn(problem)
    try:
        write_text(output, html)
    except OSError as error:
        raise RunError(f"{output} cannot be written ({error.strerror}): name another file with --output.") from error
    size = output.stat().st_size / 1e6
    print(f"report of {len(runs)} run{'s' if len(runs) > 1 else ''} ({size:.1f} MB): {output}")
