"""The two stages of a run, each trained in a process of its own: which configs make them, and what ends them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from backdrop.errors import GO_ON, RunError, Terminated
from backdrop.locks import flock, hold
from backdrop.program import own_command, own_environment
from experiments.runs.composition import Composition
from experiments.runs.composition import Stage as Stage


def fit_arguments(stage: Stage, folder: Path, data: str, profile: str, background: str, seed: int) -> list[str]:
    """The command line of one stage, as far as every experiment has it.

    Args:
        stage: Which.
        folder: The stage's folder.
        data: Data config.
        profile: Size profile.
        background: What predicts the background in stage 2: ``inpainting``, ``static`` or ``temporal``.
        seed: Of the training.

    Returns:
        Arguments of ``python -m experiments``.
    """
    named = Composition(stage, data, profile, background)
    return ["fit", *named.options(), "--trainer.default_root_dir", str(folder), "--seed_everything", str(seed)]


def train(
    arguments: Sequence[str],
    command: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
) -> int:
    """Run one training in a process of its own, which leaves nothing behind in memory.

    An interruption waits for it to save what it has done: Ctrl-C reaches it by itself, a SIGTERM is handed on.

    Args:
        arguments: Arguments of ``command``.
        command: The program; None is this one.
        environment: Its environment; None is that of this process.
        keep: Descriptors that stay open in it, such as a lock that must last as long as it does.

    Returns:
        Its exit code.

    Raises:
        KeyboardInterrupt: If this process was interrupted.
    """
    own = own_environment() if environment is None else environment
    process = subprocess.Popen([*(command or own_command()), *arguments], env=own, pass_fds=keep)
    try:
        return process.wait()
    except KeyboardInterrupt as interruption:
        if isinstance(interruption, Terminated):
            process.terminate()
        process.wait()
        raise type(interruption)(GO_ON) from None


def train_stage(
    arguments: Sequence[str], what: str, environment: Mapping[str, str] | None = None, keep: Sequence[int] = ()
) -> None:
    """Train one stage; what is finished is skipped, what was interrupted goes on.

    Args:
        arguments: Arguments of ``python -m experiments``.
        what: Its name in a message.
        environment: See :func:`train`.
        keep: See :func:`train`.

    Raises:
        KeyboardInterrupt: If it was interrupted.
        RunError: If it failed; it has said why.
    """
    refuse_failure(train(arguments, environment=environment, keep=keep), what)


def refuse_failure(code: int, what: str) -> None:
    """Raise what a process that did not end well ended with.

    Args:
        code: Its exit code.
        what: Its name in a message.

    Raises:
        KeyboardInterrupt: If it was interrupted.
        RunError: If it failed; it has said why.
    """
    if code in (130, -signal.SIGINT):
        raise KeyboardInterrupt(GO_ON)
    if code in (143, -signal.SIGTERM):
        raise Terminated(GO_ON)
    if code:
        raise RunError(f"{what} failed, see above")


@contextmanager
def alone(folder: Path) -> Iterator[int]:
    """Keep other processes out of a folder, as long as this one or a training that it has started lives.

    Args:
        folder: The folder; made where it is missing.

    Yields:
        Descriptor of the lock, for ``keep`` of :func:`train`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with flock(folder / ".lock", wait=False) as free:
        pass
    if not free:
        print(f"{folder}: another process works on it; waiting for its end", flush=True)
    handle = hold(folder / ".lock")
    try:
        yield handle
    finally:
        os.close(handle)
