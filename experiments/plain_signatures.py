"""A command's words parsed by Python alone, where jsonargparse is not installed, as beside an exported model.

It knows the commands whose parameters are paths, words, numbers, switches and lists of these.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from backdrop.errors import UsageError
from backdrop.program import program

PLAIN = (Path, str, int, float, bool)
_SAID = re.compile(r"^    (\w+): (.+(?:\n {5,}.+)*)", re.MULTILINE)


def call(name: str, function: Callable[..., int | None], words: Sequence[str]) -> int:
    """Run a command; see :func:`experiments.signatures.call`.

    Args:
        name: Its name on the command line.
        function: What does it.
        words: What follows the name.

    Returns:
        The exit code.

    Raises:
        UsageError: If the command needs more than Python to parse its words.
        ArgumentError: If the words do not fit the signature.
    """
    doc = inspect.getdoc(function) or ""
    said = {key: " ".join(text.split()).replace("%", "%%") for key, text in _SAID.findall(doc)}
    about = doc.split("\nArgs:")[0].replace("%", "%%")
    parser = argparse.ArgumentParser(f"{program()} {name}", description=about, allow_abbrev=False, exit_on_error=False)
    types = get_type_hints(function)
    for parameter in inspect.signature(function).parameters.values():
        option = parameter.default is not inspect.Parameter.empty
        kind = _without_none(types[parameter.name])
        more: dict[str, Any] = {"help": said.get(parameter.name, "")}
        if get_origin(kind) is list:
            kind, more["nargs"] = get_args(kind)[0], "+"
        if get_origin(kind) is Literal:
            kind, more["choices"] = str, get_args(kind)
        if kind not in PLAIN:
            raise UsageError(f"{name} needs more than an exported model does: install Backdrop without --no-deps")
        more |= {"default": parameter.default} if option else {"metavar": parameter.name.upper()}
        more |= {"action": "store_true"} if kind is bool else {"type": kind}
        parser.add_argument(*(_spellings(parameter.name) if option else [parameter.name]), **more)
    found, unknown = parser.parse_known_args(list(words))
    if unknown:
        raise UsageError(f"There is no option {unknown[0]}")
    return function(**vars(found)) or 0


def _without_none(kind: Any) -> Any:  # noqa: ANN401
    """A type without the None that stands for a default."""
    inside = [member for member in get_args(kind) if member is not NoneType]
    return inside[0] if NoneType in get_args(kind) and len(inside) == 1 else kind


def _spellings(name: str) -> list[str]:
    """An option as :mod:`experiments.signatures` spells it."""
    short = ["-o"] if name == "output" else []
    return [*short, *dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"])]
