"""``python -m experiments table FILE...``: results of runs, sweeps and baselines as one table."""

from __future__ import annotations

from pathlib import Path

from backdrop.files import write_text
from experiments.errors import CommandParser
from experiments.results.comparison import build
from experiments.results.entries import read_entries
from experiments.results.writers import FORMATS
from experiments.signatures import Words


def argument_parser() -> CommandParser:
    """The options of ``table``."""
    parser = CommandParser(prog="python -m experiments table", description=__doc__)
    what = "results.json, a run folder (its baselines count too), or a folder of runs, such as a sweep's; with NAME= "
    what += "in front its rows are called NAME: ..., so that two sweeps of the same settings can stand in one table"
    parser.add_argument("paths", nargs="+", type=_named, metavar="[NAME=]FILE", help=what)
    parser.add_argument("--format", choices=tuple(FORMATS), help="(as the suffix of --output says, else markdown)")
    parser.add_argument("--output", type=Path, help="write it to a file instead of printing it")
    parser.add_argument("--separate", action="store_true", help="a table for each way of measuring, if they differ")
    return parser


def _named(word: str) -> tuple[str, Path]:
    """A path of the command line, with the name in front of it."""
    name, equals, path = word.partition("=")
    return (name, Path(path)) if equals and "/" not in name and not Path(word).exists() else ("", Path(word))


def main(arguments: Words) -> int:
    """The command ``table``.

    Args:
        arguments: What follows the command's name.

    Returns:
        Exit code.
    """
    options = argument_parser().parse_args(arguments)
    suffix = options.output.suffix.removeprefix(".") if options.output else ""
    by_suffix = {form.suffix: name for name, form in FORMATS.items()}
    form = FORMATS[options.format or by_suffix.get(suffix, "markdown")]
    names, paths = zip(*options.paths, strict=True)
    text = form.write(build(read_entries(paths, names), options.separate))
    if options.output is None:
        print(text, end="")
    else:
        write_text(options.output, text)
        print(f"table: {options.output}")
    return 0
