"""The runner: it makes a list of trials, each in a process of its own, several at a time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from backdrop.errors import RunError, Terminated, one_line
from backdrop.processor import shared
from backdrop.program import own_command, own_environment
from experiments.runs.progress_bar import duration
from experiments.runs.stages import refuse_failure
from experiments.trials.trial import Trial, summary

LOG = "log.txt"


def start(trial: Trial, keep_unfinished: bool, processes: int, stack: ExitStack) -> subprocess.Popen[bytes]:
    """Start a trial in a process of its own.

    Args:
        trial: The trial.
        keep_unfinished: Let an interrupted stage go on from its last checkpoint.
        processes: How many there are at a time. Several share the cores, and each writes its output to ``log.txt`` in
            its folder: that of several at once cannot be understood.
        stack: Closes that file in the end.

    Returns:
        The process.
    """
    output, to_a_file = None, processes > 1
    if to_a_file:
        trial.folder.mkdir(parents=True, exist_ok=True)
        output = stack.enter_context((trial.folder / LOG).open("ab"))
    return subprocess.Popen(
        [*own_command(), "trial", *["--continue"] * keep_unfinished, *trial.words()],
        env=own_environment() | shared(processes),
        stdout=output,
        stderr=subprocess.STDOUT if to_a_file else None,
    )


def run_all(todo: Sequence[Trial], total: int, processes: int, keep_unfinished: bool = False) -> list[Trial]:
    """Make trials, several at a time.

    Args:
        todo: The trials.
        total: How many the sweep has, for the messages.
        processes: How many at a time.
        keep_unfinished: Let interrupted stages go on from their last checkpoints.

    Returns:
        Those that failed.

    Raises:
        KeyboardInterrupt: If this process or a trial was interrupted; the other trials save what they have done first.
    """
    waiting, running, failed = list(todo), dict[subprocess.Popen[bytes], Trial](), list[Trial]()
    begin, ended = time.monotonic(), 0
    with ExitStack() as stack:
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    trial = waiting.pop(0)
                    place = total - len(waiting)
                    where = f", see {trial.folder / LOG}" if processes > 1 else ""
                    print(f"trial {place} of {total}: {trial.recipe.name}{where}", flush=True)
                    running[start(trial, keep_unfinished, processes, stack)] = trial
                time.sleep(0.1)
                for process in [process for process in running if process.poll() is not None]:
                    trial, ended = running.pop(process), ended + 1
                    if not _succeeded(process.returncode, trial, processes > 1):
                        failed.append(trial)
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


def _succeeded(code: int, trial: Trial, to_a_file: bool) -> bool:
    """Whether a trial ended well; prints its numbers or its failure, and ends everything where it was interrupted."""
    try:
        refuse_failure(code, f"trial {trial.recipe.name}")
        found = summary(trial)
    except RunError as error:
        seen = f" in {trial.folder / LOG}" if to_a_file else ""
        print(f"error: {one_line(error)}{seen}; going on with the next trial", file=sys.stderr, flush=True)
        return False
    if to_a_file:  # else the trial itself has printed them
        print(f"{trial.recipe.name}: {found}", flush=True)
    return True
