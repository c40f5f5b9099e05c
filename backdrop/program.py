"""How the user has called this program, so that messages name commands that can be typed in the same way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SCRIPT, MODULE, MAKE = "backdrop", "python -m experiments", "make"
VARIABLE = "BACKDROP_PROGRAM"
"""Says how, to processes that another one starts: the Makefile, or a command that trains in a process of its own."""
COMMAND = "BACKDROP_COMMAND"
"""Names the command that was typed, to processes that it starts."""
_MAIN = "__main__.py"
_OPTIONS_LAST = ("train", "sweep", "trial")
"""The commands that take options of ``fit`` behind two dashes."""
_OPTIONS = ("fit", "validate", "test", "inspect", "prepare", "targets", "baselines")
"""Those that take them as they are."""


def called() -> str:
    """What the user has typed before the command's name, or would: a script that imports Backdrop was no command.

    Returns:
        ``backdrop``, ``python -m experiments`` or ``make``.
    """
    if (given := os.environ.get(VARIABLE)) in (SCRIPT, MODULE, MAKE):
        return given
    return MODULE if _file()[-2:] == ("experiments", _MAIN) else SCRIPT


def program() -> str:
    """What runs a command with all its options: ``backdrop`` or ``python -m experiments``; make knows a few only."""
    return SCRIPT if called() == SCRIPT else MODULE


def fit_option(option: str) -> str | None:
    """How an option of ``fit`` is added to the command that was typed.

    Args:
        option: The option, with its value.

    Returns:
        What is to be typed; None where the command takes no such option.
    """
    if _command() not in _OPTIONS + _OPTIONS_LAST:
        return None
    if called() == MAKE:
        return f'ARGS="{option}"'
    return f"-- {option}" if _command() in _OPTIONS_LAST else option


def _command() -> str:
    """The command that was typed; empty in a script of the user's, whose words are its own."""
    ours = _file()[-1:] in ((SCRIPT,), (f"{SCRIPT}.exe",)) or _file()[-2:] in ((SCRIPT, _MAIN), ("experiments", _MAIN))
    return os.environ.get(COMMAND) or (next(iter(sys.argv[1:]), "") if ours else "")


def _file() -> tuple[str, ...]:
    """The parts of the path of what was started."""
    return Path(sys.argv[0]).parts


def own_command() -> list[str]:
    """The words that start this program in a process of its own, which imports the modules that this one does.

    A process that does not look for modules in the working directory starts none that does: the rooms of a user's own
    project may lie there.
    """
    looks_here = bool({"", os.getcwd()} & set(sys.path))
    return [sys.executable, *([] if looks_here else ["-P"]), "-m", "experiments"]


def own_environment() -> dict[str, str]:
    """The environment of such a process."""
    return {**os.environ, VARIABLE: called(), COMMAND: _command()}
