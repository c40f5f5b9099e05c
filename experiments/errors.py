"""Errors that are the user's to mend, printed as one sentence."""

from __future__ import annotations

import ast
import difflib
import inspect
import os
import re
import sys
import traceback

from jsonargparse import ArgumentError

TYPES = {
    "<class 'int'>": "a whole number",
    "<class 'float'>": "a number",
    "<class 'bool'>": "true or false",
    "<class 'NoneType'>": "null",
}


class RunError(Exception):
    """Something about the run, its folder or its settings; the message is one sentence that says what to do."""


def was_terminated(error: BaseException | None) -> bool:
    """Whether an error comes of a loader's process that was told to end, as where a whole group of processes is.

    Args:
        error: The error; those that it comes of are looked at too.
    """
    while error is not None:
        if "killed by signal: Terminated" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler sends it, which ends a command as Ctrl-C does."""


class UsageError(Exception):
    """The command line is not as expected."""


class NothingToDo(Exception):
    """What was asked for is there already."""


def one_line(error: BaseException) -> str:
    """The message of an exception as one line of text.

    Args:
        error: Any exception.

    Returns:
        Its message without line breaks; its type where it has no message.
    """
    return " ".join(str(error).split()) or type(error).__name__


def settings_error(error: BaseException) -> str:
    """What jsonargparse has to say about wrong settings, without the types it has tried.

    Args:
        error: Its exception; the line that helps is in the middle of its message.

    Returns:
        One sentence.
    """
    text = one_line(error)
    raised = re.search(r"Errors: - (.*?) - Expected a ", text)
    if text.startswith("Does not validate against") and raised:  # what the constructor of a model or of data said
        return raised.group(1)
    end = r"(?= - Expected a | Given value type|$)"
    details = re.findall(r"Problem with given class_path '([^']+)': ?(?:- )?(.*?)" + end, text)
    key = re.search(r'Parser key "([^"]+)"', text)
    if not details:
        return _wrong_value(text) or f"{text}{_near_setting_of_the_trainer(text)}"
    where = key.group(1) if key else ""
    class_path, said = details[-1]
    if said.startswith("Parser key ") and (wrong := _wrong_value(text[text.rindex(said) :], f"{where}.init_args.")):
        return wrong
    if said == "the following arguments are required: root":
        return f"{class_path} needs to know where the data are: add --data.init_args.root PATH (with make, ROOT=PATH)"
    option = re.search(r"Option '([^']+)' is not accepted", said)
    near = _near(option.group(1), class_path) if option else ""
    return f"{where}{': ' if where else ''}{class_path}: {said}{near}"


def _wrong_value(text: str, above: str = "") -> str | None:
    """Say in plain words that a value is of another type; None where the message says something else.

    Args:
        text: A message of jsonargparse.
        above: What belongs before the name of the setting.
    """
    end = r"(?= - Expected | Given value|$)"
    one = re.match(rf'Parser key "([^"]+)": (Expected an? .+?)\. Got value: (.*?){end}', text)
    union = r"Does not validate .*? Errors: - (.+?) Given value type: .+? Given value: "
    several = re.match(rf'Parser key "([^"]+)": {union}(.*?){end}', text)
    if not (found := one or several):
        return None
    name, expected, value = found.groups()
    kinds = [re.sub("^Expected an? ", "", kind) for kind in expected.split(" - ")]
    words = [_in_words(kind) for kind in kinds]
    return f"{above}{name} is {value}, expected {' or '.join(map(str, words))}" if None not in words else None


def _in_words(kind: str) -> str | None:
    """A type as jsonargparse names it, for a user; None where it has no plain name."""
    if kind.startswith("typing.Literal["):
        return f"one of {', '.join(map(str, ast.literal_eval(kind.removeprefix('typing.Literal'))))}"
    return TYPES.get(kind)


def _near_setting_of_the_trainer(text: str) -> str:
    """The setting of the trainer that an unknown one looks like."""
    option = re.search(r"unrecognized arguments: --trainer\.(\w+)", text)
    return _near(option.group(1), "pytorch_lightning.Trainer") if option else ""


def _near(option: str, class_path: str) -> str:
    """The parameter of a class that a misspelt one looks like, as the end of a sentence; empty where none does."""
    module, _, name = class_path.rpartition(".")
    kinds = getattr(getattr(sys.modules.get(module), name, None), "__mro__", ())
    names = {parameter for kind in kinds for parameter in inspect.signature(kind.__init__).parameters}
    close = difflib.get_close_matches(option, names - {"self", "args", "kwargs"}, 1)
    return f": did you mean {close[0]}?" if close else ""


def warn(message: str) -> None:
    """Print a warning as one line on stderr, on rank zero only.

    Args:
        message: One sentence.
    """
    from pytorch_lightning.utilities import rank_zero_only  # a command that ends before its work needs no Lightning

    if getattr(rank_zero_only, "rank", 0) == 0:
        print(f"warning: {message}", file=sys.stderr, flush=True)


def print_error(error: BaseException, command: str | None = None) -> None:
    """Print an exception as one line on stderr, and its traceback too where ``BACKDROP_DEBUG=1``.

    Args:
        error: The exception that ended the command.
        command: The command whose help says more, empty for that of the program; None where the message says enough.
    """
    if os.environ.get("BACKDROP_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    expected = isinstance(error, RunError | UsageError | ArgumentError | ValueError | OSError | RuntimeError)
    hint = "" if expected else f" ({type(error).__name__}; BACKDROP_DEBUG=1 shows where)"
    wrapped = isinstance(error, ArgumentError) or str(error).startswith("Does not validate against")
    message = settings_error(error) if wrapped else one_line(error)
    if command is not None:
        hint += f" (see {' '.join(filter(None, ('python -m experiments', command)))} --help)"
    print(f"error: {message}{hint}", file=sys.stderr, flush=True)
