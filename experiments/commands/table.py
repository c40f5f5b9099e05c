"""``table``: results of runs, sweeps and baselines as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from backdrop.files import write_text
from experiments.results.comparison import build
from experiments.results.entries import read_entries
from experiments.results.evaluation import Variant
from experiments.results.official import ProtocolName
from experiments.results.writers import FORMATS


def table(
    paths: list[str],
    format: Literal["markdown", "latex", "csv"] | None = None,
    output: Path | None = None,
    separate: bool = False,
    protocol: ProtocolName = "usual",
) -> None:
    """Print results of runs, sweeps and baselines as Markdown, LaTeX or CSV.

    Args:
        paths: results.json, a run folder (its baselines count too), or a folder of runs, such as a sweep's; with NAME=
            in front its rows are called NAME: ..., so that two sweeps of the same settings can stand in one table.
        format: How it is written; as the suffix of the output says, else as Markdown.
        output: Write it to a file instead of printing it.
        separate: Make a table for each way of measuring, if they differ.
        protocol: davis takes what `evaluate --protocol davis` has written in the folders.
    """
    suffixes = {one.suffix: name for name, one in FORMATS.items()}
    suffix = output.suffix.removeprefix(".") if output else ""
    names, files = zip(*map(_named, paths), strict=True)
    entries = read_entries(files, names, Variant(protocol=protocol).file(Path()).name)
    text = FORMATS[format or suffixes.get(suffix, "markdown")].write(build(entries, separate))
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
        print(f"table: {output}")


def _named(word: str) -> tuple[str, Path]:
    """A path of the command line, with the name in front of it."""
    name, equals, path = word.partition("=")
    return (name, Path(path)) if equals and "/" not in name and not Path(word).exists() else ("", Path(word))
