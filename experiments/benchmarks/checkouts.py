"""Commands that are run in this checkout of the source code or in another one, and what they cost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from backdrop.errors import RunError

HERE = Path(__file__).resolve().parent.parent.parent
_TOLD = 600  # characters of what a command has said


class Spent(NamedTuple):
    """What a command has cost, with the processes that it has started.

    Attributes:
        seconds: Of the processor.
        memory: Most that one process held, in bytes.
    """

    seconds: float
    memory: int


@dataclass(frozen=True)
class Checkout:
    """Source code of this project, of any version.

    Attributes:
        folder: Where it lies.
        cache: Where its commands keep decoded frames.
    """

    folder: Path
    cache: Path

    def has(self, config: str) -> bool:
        """Whether it ships a config of that name."""
        return (self.folder / "experiments" / "configs" / config).is_file()

    def run(self, words: Sequence[str]) -> Spent:
        """Run a command of it with one thread.

        Args:
            words: Of the command line, after ``python -m experiments``.

        Raises:
            RunError: If it fails; it says with what.
        """
        own = {"PYTHONPATH": str(self.folder), "BACKDROP_CACHE": str(self.cache), "WANDB_MODE": "disabled"}
        own |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "PYTHONDONTWRITEBYTECODE": "1"}
        with subprocess.Popen(
            [sys.executable, "-m", "experiments", *words],
            cwd=self.folder, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            try:
                said = process.stdout.read()
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:  # a command that nobody measures any more is not to go on
                process.terminate()
                process.wait()
                raise
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RunError(f"{words[0]} failed in {self.folder}: … {said.strip()[-_TOLD:]}")
        return Spent(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
