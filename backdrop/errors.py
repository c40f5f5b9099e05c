"""Errors that are the user's to mend, printed as one sentence."""

from __future__ import annotations

import ast
import difflib
import inspect
import os
import re
import sys
import traceback
from argparse import ArgumentError  # jsonargparse's too

from backdrop.program import program
from backdrop.settings import argument_types, class_in, import_class

_UNION = "Does not validate against any of the Union subtypes Subtypes:"
TYPES = {
    "<class 'int'>": "a whole number",
    "<class 'float'>": "a number",
    "<class 'bool'>": "true or false",
    "<class 'NoneType'>": "null",
}


GO_ON = ": the same command goes on from here"
"""What is said of an interruption after which what is complete is kept."""


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


def is_usage(error: BaseException) -> bool:
    """Whether an error is of the command line: ours, or that of jsonargparse."""
    return isinstance(error, UsageError | ArgumentError)


def one_line(error: BaseException) -> str:
    """The message of an exception as one line of text.

    Args:
        error: Any exception.

    Returns:
        Its message without line breaks; its type where it has no message.
    """
    return " ".join(str(error).split()) or type(error).__name__


def in_words(error: BaseException) -> str:
    """The message of an exception as one sentence, without the types that jsonargparse has tried.

    Args:
        error: Any exception.
    """
    if _is_out_of_memory(error):
        what = one_line(error).split(". GPU")[0].rstrip(".")
        return f"there is not enough memory ({what}): lower --data.init_args.batch_size, or --data.init_args.scale"
    if re.search(r"DataLoader worker .*(killed by signal|exited unexpectedly)", str(error)) or _lost_the_loader(error):
        what = one_line(error).split(". ")[0].rstrip(".")
        return (
            f"a process of the loader was killed ({what}), as the system does where memory runs out: the same command "
            "goes on; lower --data.init_args.num_workers if it happens again"
        )
    if isinstance(error, UsageError):
        return one_line(error)
    wrapped = is_usage(error) or str(error).startswith("Does not validate against")
    return settings_error(error) if wrapped else one_line(error)


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was asked for in vain: Python's and NumPy's error, torch's on a GPU, and its text on the CPU."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def _lost_the_loader(error: BaseException) -> bool:
    """Whether a process of the loader was gone when torch asked it, through a socket, for the memory of a batch."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    asked = [os.path.join("multiprocessing", "connection.py"), os.path.join("torch", "utils", "data", "dataloader.py")]
    gone = isinstance(error, ConnectionError | EOFError | FileNotFoundError)
    return gone and all(any(file.endswith(path) for file in files) for path in asked)


def settings_error(error: BaseException) -> str:
    """What jsonargparse has to say about wrong settings, without the types it has tried.

    Args:
        error: Its exception; the line that helps is in the middle of its message.

    Returns:
        One sentence.
    """
    text = whole = one_line(error)
    parts, own, class_path = list[str](), "", ""
    while True:
        if key := re.match(r'Parser key "([^"]+)": ?(?:- )?(.+)', text):
            parts, own, text = [*parts, key[1]], "", key[2]
        elif union := re.match(rf"{_UNION} (\[.*?\]) Errors: - (?!Expected )(.+)", text):
            own, text = union[1], union[2]
        elif given := re.match(r"Problem with given class_path '([^']+)': ?(?:- )?(.+)", text):
            class_path, text = given[1], given[2]
            parts += [] if class_path in own else ["init_args"]  # a group of settings names no class
        else:
            break
    said = re.split(r" - Expected a | Given value type", text)[0]
    if whole.startswith(_UNION):  # what the constructor of a model or of data said
        return said
    where = ".".join(parts)
    if wrong := _wrong_value(text):
        return f"{where} is {wrong}"
    if unknown := re.search(r"Expected a dot import path string: (\S+)", text):
        return f"{where} is {unknown[1]}, expected the name of a class"
    if said == "the following arguments are required: root":
        return f"{class_path} needs to know where the data are: add --data.init_args.root PATH (with make, ROOT=PATH)"
    option = re.search(r"(?:Option |does not accept option |unrecognized arguments: --)'?(\w[\w.]*)", said)
    near = _near(option[1], class_path) if option and (class_path or option[1].startswith("trainer.")) else ""
    return f"{where.removesuffix('.init_args')}: {class_path}: {said}{near}" if class_path else f"{whole}{near}"


def _wrong_value(text: str) -> str | None:
    """A value and what was expected, in plain words; None where the message is not of a wrong type.

    Args:
        text: A message of jsonargparse, without the name of the setting.
    """
    end = r"(?= - Expected | Given value|$)"
    one = re.match(rf"(Expected an? .+?)\. Got value: (.*?){end}", text)
    several = re.match(rf"{_UNION} .*? Errors: - (.+?) Given value type: .+? Given value: (.*?){end}", text)
    if not (found := one or several):
        return None
    words = [_in_words(re.sub("^Expected an? ", "", kind)) for kind in found[1].split(" - ")]
    return f"{found[2]}, expected {' or '.join(map(str, words))}" if None not in words else None


def _in_words(kind: str) -> str | None:
    """A type as jsonargparse names it, for a user; None where it has no plain name."""
    if kind.startswith("typing.Literal["):
        return f"one of {', '.join(map(str, ast.literal_eval(kind.removeprefix('typing.Literal'))))}"
    return TYPES.get(kind)


def _near(option: str, class_path: str) -> str:
    """The setting that a misspelt one looks like, as the end of a sentence; empty where none does.

    Args:
        option: What was given.
        class_path: The class that does not accept it; without one, it is looked for among the trainer's.
    """
    kind = import_class(class_path or "pytorch_lightning.Trainer")
    kinds = () if kind is None else kind.__mro__
    known = {name: name for member in kinds for name in inspect.signature(member.__init__).parameters}  # type: ignore[misc]
    for name, annotation in argument_types(kind).items() if kind is not None and class_path else ():
        group = class_in(annotation)
        inside = f"{name}.init_args" if inspect.isabstract(group) else name
        known = {inner: f"{inside}.{inner}" for inner in (argument_types(group) if group else ())} | known
    close = difflib.get_close_matches(option.split(".")[-1], known.keys() - {"self", "args", "kwargs"}, 1)
    return f": did you mean {known[close[0]]}?" if close else ""


def warn(message: str) -> None:
    """Print a warning as one line on stderr, in the first of several processes only.

    Args:
        message: One sentence.
    """
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))  # as Lightning seeks it
    if int(next((rank for rank in ranks if rank), 0)) == 0:
        print(f"warning: {message}", file=sys.stderr, flush=True)


def print_error(error: BaseException, command: str | None = None) -> None:
    """Print an exception as one line on stderr, and its traceback too where ``BACKDROP_DEBUG=1``.

    Args:
        error: The exception that ended the command.
        command: The command whose help says more, empty for that of the program; None where the message says enough.
    """
    if os.environ.get("BACKDROP_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    expected = is_usage(error) or isinstance(error, RunError | ValueError | OSError | RuntimeError | MemoryError)
    hint = "" if expected else f" ({type(error).__name__}; BACKDROP_DEBUG=1 shows where)"
    if command is not None:
        hint += f" (see {' '.join(filter(None, (program(), command)))} --help)"
    print(f"error: {in_words(error)}{hint}", file=sys.stderr, flush=True)
