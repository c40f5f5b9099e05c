"""The command line: ``backdrop COMMAND ...``, or ``python -m experiments COMMAND ...``.

A command is imported when it is called, and so is what parses its words: the help of the whole costs no library.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from backdrop import __version__
from backdrop.errors import NothingToDo, Terminated, UsageError, is_usage, one_line, print_error, was_terminated
from backdrop.program import program
from backdrop.trusted import ROOMS

if TYPE_CHECKING:
    from experiments.signatures import Command

COMMANDS = {
    "train": "experiments.commands.train:train",
    "fit": "experiments.commands.fit:fit",
    "validate": "experiments.commands.fit:validate",
    "test": "experiments.commands.fit:test",
    "prepare": "experiments.commands.prepare:prepare",
    "inspect": "experiments.commands.inspect:inspect",
    "calibrate": "experiments.commands.calibrate:calibrate",
    "evaluate": "experiments.commands.evaluate:evaluate",
    "targets": "experiments.commands.targets:targets",
    "baselines": "experiments.commands.baselines:baselines",
    "sweep": "experiments.commands.sweep:sweep",
    "trial": "experiments.commands.trial:trial",
    "table": "experiments.commands.table:table",
    "predict": "experiments.commands.predict:predict",
    "label": "experiments.commands.label:label",
    "export": "experiments.commands.export:export",
    "serve": "experiments.commands.serve:serve",
    "report": "experiments.commands.report:report",
    "dashboard": "experiments.commands.dashboard:dashboard",
    "estimators": "experiments.benchmarks.estimators:estimators",
    "score-check": "experiments.benchmarks.score_check:score_check",
    "flops": "experiments.benchmarks.flops:flops",
    "benchmark": "experiments.benchmarks.benchmark:benchmark",
    "export-check": "experiments.benchmarks.export_check:export_check",
    "target-cost": "experiments.benchmarks.target_cost:target_cost",
    "gpu-check": "experiments.benchmarks.gpu_check:gpu_check",
    "gpu-proof": "experiments.benchmarks.gpu_proof:gpu_proof",
}
"""Each command's function, ``module:name``."""

FIRST = ("train", "predict", "label", "export", "serve", "inspect", "evaluate", "report")
"""The commands that the help names first: from videos to a model in use."""

SOURCE = Path(__file__).resolve().parent.parent
_format_of_libraries = warnings.formatwarning


def load(name: str) -> Command:
    """Import a command.

    Args:
        name: Its name on the command line.

    Raises:
        UsageError: If there is none of that name; the message names the nearest.
    """
    if name not in COMMANDS:
        alike = {one: (difflib.SequenceMatcher(None, one, name).ratio(), one in FIRST) for one in COMMANDS}
        near = max(difflib.get_close_matches(name, COMMANDS), key=lambda one: alike[one], default=None)
        raise UsageError(f"There is no command {name}{f': did you mean {near}?' if near else ''}")
    module, _, function = COMMANDS[name].partition(":")
    found: Command = getattr(importlib.import_module(module), function)
    return found


def _caller() -> Callable[[str, Command, Sequence[str]], int]:
    """What parses a command's words and runs it; Python alone where jsonargparse is not installed."""
    if find_spec("jsonargparse") is None:
        from experiments import plain_signatures

        return plain_signatures.call
    from experiments.signatures import call

    return call


def usage() -> str:
    """The commands, each with the first line of its docstring; nothing is imported for that."""
    first = [name for name in FIRST if name in COMMANDS]
    return "\n".join(
        [
            f"usage: {program()} COMMAND ...     {program()} COMMAND --help says more, --version the version",
            "",
            "From your videos to masks and a model:",
            *map(_line, first),
            "",
            "For research (configs are sought in the working directory, then in experiments/configs):",
            *(_line(name) for name in COMMANDS if name not in first),
        ]
    )


def _line(name: str) -> str:
    return f"  {name:<13}{_summary(*COMMANDS[name].split(':'))}"


def _summary(module: str, function: str) -> str:
    """The first line of a function's docstring, read from its file."""
    path = SOURCE.joinpath(*module.split(".")).with_suffix(".py")
    defined = (node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef))
    return next((ast.get_docstring(node) or "").split("\n")[0] for node in defined if node.name == function)


def _quiet() -> None:
    """Silence messages that tell a user of this program nothing, each with its reason; let the data modules speak."""
    messages = logging.getLogger("datamodules")
    messages.setLevel(logging.INFO)
    messages.handlers = [logging.StreamHandler()]  # the error output as it is now
    if not logging.getLogger().handlers:  # Lightning, when it is imported, then brings no handler of its own
        logging.getLogger().addHandler(logging.StreamHandler())
        logging.getLogger().handlers[0].setLevel(logging.WARNING)
    for library in ("pytorch_lightning", "lightning_fabric"):  # where it is imported already
        logging.getLogger(library).setLevel(logging.WARNING)  # device lists, advertisements, "Seed set to …"
    ignore = [
        "LightningCLI's args parameter",  # our main() passes them on purpose, after finding the configs
        ".*Total length of .* across ranks is zero.*",  # our own message says that nothing validates
        ".*does not have many workers.*",  # the store is fast; the number is the user's choice
        ".*resuming from a checkpoint.*dataloader",  # ours is, which Lightning cannot see
        ".*exists and is not empty.*",  # resuming writes into the folder it was interrupted in
        ".*'pretrained' is deprecated.*",  # lpips and torchvision
        ".*isinstance.treespec, LeafSpec.*is deprecated.*",  # Lightning's own business
        ".*is smaller than the logging interval.*",  # short trainings log what they have
        ".*module.s. in eval mode at the start of training.*",  # the inpainter is frozen on purpose
        ".*lr_scheduler.step.*before.*optimizer.step.*",  # a resumed schedule
    ]
    for message in ignore:
        warnings.filterwarnings("ignore", message=message)
    warnings.formatwarning = _plain_warning


def _plain_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning of ours is for the user, whom its place in the source tells nothing."""
    ours = any(Path(filename).is_relative_to(SOURCE / room) for room in ROOMS)
    return f"warning: {message}\n" if ours else _format_of_libraries(message, category, filename, lineno, line)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise :class:`Terminated`, once; only the main thread can hear it."""

    def terminate(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # while things are brought to an end
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and turn every failure into one line.

    Args:
        arguments: Command-line arguments; None takes those of the process.

    Returns:
        Exit code: 0 done, 1 failed, 2 wrong arguments, 130 interrupted, 143 terminated.
    """
    name, *words = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name in ("", "-h", "--help", "-V", "--version"):
        print(f"backdrop {__version__}" if name in ("-V", "--version") else usage())
        return 0 if name else 2
    _quiet()
    try:
        command, call = load(name), _caller()
        with _terminable():
            return call(name, command, words)
    except NothingToDo as done:
        print(one_line(done), flush=True)
    except KeyboardInterrupt as interruption:
        print(f"interrupted{interruption}.", file=sys.stderr)
        return 143 if isinstance(interruption, Terminated) else 130
    except SystemExit as left:
        if not isinstance(left.__context__, KeyboardInterrupt):
            raise
        print("interrupted.", file=sys.stderr)  # Lightning turns the interruption of a test loop into an exit
        return 143 if isinstance(left.__context__, Terminated) else 130
    except BrokenPipeError:
        raise
    except Exception as error:
        if is_usage(error):
            print_error(error, name if name in COMMANDS else "")
            return 2
        if was_terminated(error):  # its loader before this process itself
            print("interrupted.", file=sys.stderr)
            return 143
        print_error(error)
        return 1
    return 0
