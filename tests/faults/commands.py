"""Commands in processes of their own, warm from the start, that may be killed at a chosen moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults.warm"])
Fault = Callable[[], object]
KILLED = -signal.SIGKILL
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree")


def changes_below(folder: str, event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an audit event of Python is about to change what lies below a folder."""
    if event == "open":
        path, _, flags = arguments
        changes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
    else:
        path, changes = arguments[0] if arguments else None, event in _CHANGES
    return changes and isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(folder)


@dataclass(frozen=True)
class Ended:
    """How a command has ended: its exit code, how many changes it has made, and what it has said."""

    code: int
    changes: int
    said: str

    @property
    def error(self) -> str:
        """The one line that begins with ``error:``."""
        (line,) = [line for line in self.said.splitlines() if line.startswith("error: ")]
        return line


def _call(
    words: list[str], folder: str, environment: Mapping[str, str], moment: int, fault: Fault, log: str, told: Any  # noqa: ANN401
) -> None:
    """Run a command; in place of the ``moment``-th change below the folder it is killed."""
    os.setsid()
    os.environ.update(environment)
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    count, process = 0, os.getpid()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if os.getpid() == process and changes_below(folder, event, arguments):
            count += 1
            if count == moment:
                os.kill(process, signal.SIGKILL)

    sys.addaudithook(hook)
    fault()
    from experiments.cli import main

    code = main(words)
    told.send(count)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def no_fault() -> None:
    """All is well."""


def call(
    words: list[str], folder: Path, moment: int = 0, fault: Fault = no_fault, **environment: str
) -> Ended:
    """Run a command in a process of its own.

    Args:
        words: Its arguments.
        folder: Below which its changes are counted.
        moment: In place of which of them it is killed, from 1; 0 lets it live.
        fault: Called before it, in its process.
        environment: For the process.
    """
    hear, told = FORKS.Pipe(duplex=False)
    log = folder.parent / "log"
    process = FORKS.Process(target=_call, args=(words, str(folder), environment, moment, fault, str(log), told))
    process.start()
    told.close()
    process.join()
    code = process.exitcode
    assert code is not None
    return Ended(code, hear.recv() if code >= 0 else 0, log.read_text())
