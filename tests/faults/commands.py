"""Commands in processes of their own, warm from the start, that may be killed at a chosen moment.

What a command starts in a process of its own, as `train` and `sweep` do, begins as a copy of it, and is killed with it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backdrop.program import own_command

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


class Copy(subprocess.Popen[bytes]):
    """In place of ``Popen``: this program begins as a copy of the process, with all that it has imported."""

    counted: int
    """The process whose changes count, beside those of its own copies."""

    def __init__(
        self,
        args: Sequence[str],
        env: Mapping[str, str] | None = None,
        stdout: Any = None,  # noqa: ANN401
        **more: Any,  # noqa: ANN401
    ) -> None:
        own = own_command()
        self._copied = [*args[: len(own)]] == own
        if not self._copied:
            super().__init__(args, env=env, stdout=stdout, **more)
            return
        sys.stdout.flush()
        sys.stderr.flush()
        self.returncode, self.pid = None, os.fork()  # type: ignore[assignment]
        if self.pid == 0:
            Copy.counted = os.getpid()
            for name in os.environ.keys() - (env or {}).keys():
                del os.environ[name]
            if stdout is not None:
                os.dup2(stdout.fileno(), 1)
                os.dup2(stdout.fileno(), 2)
            _run([*args[len(own) :]], env or {})

    def poll(self) -> int | None:
        return self._ended(os.WNOHANG) if self._copied else super().poll()

    def wait(self, timeout: float | None = None) -> int:
        return self._ended(0) if self._copied else super().wait(timeout)  # type: ignore[return-value]

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def _ended(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _run(words: list[str], environment: Mapping[str, str]) -> None:
    """Run a command, which ends the process."""
    os.environ.update(environment)
    code = 70
    try:
        from experiments.cli import main

        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _call(
    words: list[str], folder: str, environment: Mapping[str, str], moment: int, fault: Fault, log: str, *shared: Any  # noqa: ANN401
) -> None:
    """Run a command; in place of the ``moment``-th change below the folder it and all it has started is killed."""
    os.setsid()
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    count, _ = shared  # the second one is open as long as a process of the command lives

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if os.getpid() == Copy.counted and changes_below(folder, event, arguments):
            with count.get_lock():
                count.value += 1
                reached = count.value == moment
            if reached:
                os.killpg(0, signal.SIGKILL)

    Copy.counted = os.getpid()
    subprocess.Popen = Copy  # type: ignore[misc]
    sys.addaudithook(hook)
    fault()
    _run(words, environment)


def no_fault() -> None:
    """All is well."""


def call(
    words: list[str], folder: Path, moment: int = 0, fault: Fault = no_fault, **environment: str
) -> Ended:
    """Run a command in a process of its own.

    Args:
        words: Its arguments.
        folder: Below which its changes are counted, and those of the commands that it starts.
        moment: In place of which of them it is killed, from 1; 0 lets it live.
        fault: Called before it, in its process.
        environment: For the process.
    """
    hear, told = FORKS.Pipe(duplex=False)
    log, count = folder.parent / "log", FORKS.Value("i", 0)
    process = FORKS.Process(target=_call, args=(words, str(folder), environment, moment, fault, str(log), count, told))
    process.start()
    told.close()
    process.join()
    assert hear.poll(60), "a process that the command has started lives on"
    assert process.exitcode is not None
    return Ended(process.exitcode, count.value, log.read_text())
