"""Errors that are the user's to mend, printed as one sentence."""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from typing import NoReturn

from jsonargparse import ArgumentError
from pytorch_lightning.utilities import rank_zero_only


class RunError(Exception):
    """Something about the run, its folder or its settings; the message is one sentence that says what to do."""


class UsageError(Exception):
    """The command line is not as expected."""


class CommandParser(argparse.ArgumentParser):
    """argparse without the usage lines in front of an error."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of leaving the process.

        Raises:
            UsageError: Always.
        """
        raise UsageError(f"{message} (see {self.prog} --help)")


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
    where = f"{key.group(1)}: " if key else ""
    return f"{where}{details[-1][0]}: {details[-1][1]}" if details else text


@rank_zero_only
def warn(message: str) -> None:
    """Print a warning as one line on stderr, on rank zero only.

    Args:
        message: One sentence.
    """
    print(f"warning: {message}", file=sys.stderr, flush=True)


def report(error: BaseException) -> None:
    """Print an exception as one line on stderr, and its traceback too where ``BACKDROP_DEBUG=1``.

    Args:
        error: The exception that ended the command.
    """
    if os.environ.get("BACKDROP_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    expected = isinstance(error, RunError | UsageError | ArgumentError | ValueError | OSError | RuntimeError)
    hint = "" if expected else f" ({type(error).__name__}; BACKDROP_DEBUG=1 shows where)"
    wrapped = isinstance(error, ArgumentError) or str(error).startswith("Does not validate against")
    message = settings_error(error) if wrapped else one_line(error)
    print(f"error: {message}{hint}", file=sys.stderr, flush=True)
