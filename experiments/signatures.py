"""A command is a typed function: its signature and its Google docstring are its command line and its help."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser, Namespace

from backdrop.errors import UsageError
from backdrop.program import program

Command = Callable[..., int | None]


class Filled(Enum):
    """What a parameter is filled with, where it is no option of its own. Each stands in an ``Annotated`` type."""

    WORDS = "all words of the command line, none of them parsed"
    REST = "the words that follow --"
    SETTINGS = "every option that the command does not have itself, as --name=value"
    TYPED = "the command as it was typed, for the record"
    DATA = "the data module that the configs and the options of `fit` describe"
    CONFIG = "the merged settings from which that data module is built"


@dataclass(frozen=True)
class Groups:
    """A parameter filled with the arguments of several classes: name -> argument -> value.

    Attributes:
        classes: By the name that stands before their arguments: ``--NAME.ARGUMENT``.
    """

    classes: Mapping[str, type]


OPERANDS = "positional words, of which there may be none"

T = TypeVar("T")
Words = Annotated[Sequence[str], Filled.WORDS]
Rest = Annotated[Sequence[str], Filled.REST]
Settings = Annotated[Sequence[str], Filled.SETTINGS]
Typed = Annotated[str, Filled.TYPED]
Operands = Annotated[list[T], OPERANDS]
"""The one kind of positional words that a command can do without; it has a default."""
Data = Annotated[T, Filled.DATA]
Config = Annotated[dict[str, Any], Filled.CONFIG]


def call(name: str, function: Command, words: Sequence[str]) -> int:
    """Run a command.

    Args:
        name: Its name on the command line.
        function: What does it. Parameters without default are positional words, the others are options; a list takes
            several words, a bool is a switch, and an ``Annotated`` type says what else a parameter is filled with.
        words: What follows the name.

    Returns:
        The exit code: what the function returns, 0 where that is None.

    Raises:
        ArgumentError: If the words do not fit the signature.
        UsageError: If they do not fit the command.
    """
    if Filled.WORDS in _marks(function).values():
        return function(words) or 0
    return function(**arguments(name, function, words)) or 0


def arguments(name: str, function: Command, words: Sequence[str]) -> dict[str, Any]:
    """The arguments that a command is called with.

    Args:
        name: Its name on the command line.
        function: See :func:`call`; it takes no :data:`Words`.
        words: What follows the name.

    Raises:
        ArgumentError: If the words do not fit the signature.
        UsageError: If they do not fit the command.
    """
    marks = _marks(function)
    parser, options, filled = understand(name, function, words)
    if Filled.DATA in marks.values():
        filled |= {Filled.DATA: parser.instantiate_classes(options).data, Filled.CONFIG: options.as_dict()}
    return {
        parameter: _filled(marks[parameter], filled, options) if parameter in marks else options[parameter.rstrip("_")]
        for parameter in inspect.signature(function).parameters
    }


def understand(
    name: str, function: Command, words: Sequence[str]
) -> tuple[ArgumentParser, Namespace, dict[Filled, Any]]:
    """Parse a command's words; nothing is built or run.

    Args:
        name: Its name on the command line.
        function: See :func:`call`; it takes no :data:`Words`.
        words: What follows the name.

    Returns:
        The parser, the options, and what parameters are filled with that are no options, as far as it is known yet.

    Raises:
        ArgumentError: If the words do not fit the signature.
        UsageError: If they do not fit the command.
    """
    marks = _marks(function).values()
    filled: dict[Filled, Any] = {Filled.TYPED: shlex.join([*program().split(), name, *words])}
    words, filled[Filled.REST] = _split(words) if Filled.REST in marks else (words, ())
    parser = parser_of(name, function)
    if Filled.SETTINGS in marks:
        words, filled[Filled.SETTINGS] = _without_settings(name, parser, words)
    if Filled.DATA in marks:
        from experiments.runs.composition import compose
        from experiments.runs.given_videos import as_options

        words = compose(words if _has_positional(function) else as_options(words))
    return parser, parser.parse_args(list(words)), filled


def parser_of(name: str, function: Command) -> ArgumentParser:
    """The parser that a command's signature describes.

    Args:
        name: Its name on the command line.
        function: See :func:`call`; it takes no :data:`Words`.
    """
    doc, marks = parse_docstring(inspect.getdoc(function) or ""), _marks(function)
    said = {parameter.arg_name: _escaped(parameter.description or "") for parameter in doc.params}
    about = _escaped("\n\n".join(filter(None, (doc.short_description, doc.long_description))))
    options: dict[str, Any] = {"prog": f"{program()} {name}", "allow_abbrev": False}
    parser: ArgumentParser
    if Filled.DATA in marks.values():
        from experiments.runs import composition

        parser = composition.parser(["data"], description=f"{about}\n\n{composition.HELP}", **options)
    else:
        parser = ArgumentParser(exit_on_error=False, description=about, **options)
    types, whole = get_type_hints(function), get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        mark = marks.get(parameter.name)
        if isinstance(mark, Groups):
            for group, member in mark.classes.items():
                parser.add_class_arguments(member, group, instantiate=False)
        elif mark is None:
            positional = OPERANDS in getattr(whole[parameter.name], "__metadata__", ())
            _add(parser, parameter, types[parameter.name], said[parameter.name], positional)
    rest = [name for name, mark in marks.items() if mark in (Filled.REST, Filled.SETTINGS)]
    parser.epilog = " ".join(said[name] for name in rest) or None
    return parser


def _marks(function: Command) -> dict[str, Filled | Groups]:
    """The parameters that are filled with something else than an option, and with what."""
    hints = {name: kind for name, kind in get_type_hints(function, include_extras=True).items() if name != "return"}
    found = {name: get_args(kind)[1] for name, kind in hints.items() if get_origin(kind) is Annotated}
    return {name: mark for name, mark in found.items() if isinstance(mark, Filled | Groups)}


def _has_positional(function: Command) -> bool:
    """Whether a command has positional words of its own."""
    marked, parameters = _marks(function), inspect.signature(function).parameters.values()
    return any(one.default is inspect.Parameter.empty and one.name not in marked for one in parameters)


def _filled(mark: Filled | Groups, filled: Mapping[Filled, Any], options: Namespace) -> Any:  # noqa: ANN401
    """The value of a marked parameter."""
    return {name: options[name].as_dict() for name in mark.classes} if isinstance(mark, Groups) else filled[mark]


def _escaped(text: str) -> str:
    """Text as argparse wants it, which understands %."""
    return text.replace("%", "%%")


def _add(parser: ArgumentParser, parameter: inspect.Parameter, kind: Any, about: str, operands: bool) -> None:  # noqa: ANN401
    """Add one parameter: positional without default, else an option; spelt with hyphens, or as in the signature."""
    more: dict[str, Any] = {"help": about, "type": kind}
    inside = get_args(kind)
    if get_origin(kind) is list:
        more |= {"type": inside[0], "nargs": "+"} | ({"action": "extend"} if parameter.default == [] else {})
    elif get_origin(kind) is tuple:
        more |= {"type": inside[0], "nargs": len(inside), "default": list(parameter.default)}
    name = parameter.name.rstrip("_")
    if operands:
        parser.add_argument(name, metavar=name.upper(), help=about, type=inside[0], nargs="*", default=[])
        return
    if parameter.default is inspect.Parameter.empty:
        parser.add_argument(name, metavar=name.upper(), **more)
        return
    short = ["-o"] if name == "output" else []
    spellings = dict.fromkeys([*short, f"--{name.replace('_', '-')}", f"--{name}"])
    if kind is bool:
        parser.add_argument(*spellings, dest=name, action="store_true", help=about)
    else:
        parser.add_argument(*spellings, **{"dest": name, "default": parameter.default, **more})


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The words before ``--`` and those after it."""
    end = list(words).index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def _without_settings(name: str, parser: ArgumentParser, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of the command's own options, and the settings.

    Raises:
        UsageError: If an option of neither kind is there.
    """
    own, settings = list[str](), list[str]()
    for word in words:
        option, equals, _ = word.partition("=")
        if not option.startswith("--") or option in parser._option_string_actions:
            own.append(word)
        elif equals:
            settings.append(word)
        else:
            raise UsageError(f"{word} is no setting of a {name}: write it as --name=value, or after --")
    return own, settings
