"""Tables as Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from experiments.results.table import HEADINGS, Number, Row, Source, Table

BEST = "best: the threshold of a grid with the highest J, chosen with the test labels, as the paper does"
_COMMANDS = {"±": r"$\pm$", "~": r"\textasciitilde{}", "\\": r"\textbackslash{}"}
_ESCAPED = {char: f"\\{char}" for char in "&%$#_{}"} | _COMMANDS


@dataclass(frozen=True)
class Format:
    """A way to write tables.

    Attributes:
        suffix: Of its files.
        write: Makes the text of some tables.
    """

    suffix: str
    write: Callable[[Sequence[Table]], str]


def markdown(tables: Sequence[Table]) -> str:
    """Tables for a README, with a line for each command below."""
    parts = []
    for table in tables:
        heads = ["", "seeds", "threshold", *(HEADINGS[column] for column in table.columns)]
        rule = ["---", "---:", "---", *("---:" for _ in table.columns)]
        lines = [heads, rule, *(_cells(table, row) for row in table.rows)]
        text = [f"**{table.title}**", "", *(f"| {' | '.join(cells)} |" for cells in lines), ""]
        text += [BEST + ".", ""] if any(row.kind == "best" for row in table.rows) else []
        text += [f"- the paper on {finding}" for finding in table.findings] + [""] * bool(table.findings)
        text += [f"- {source.setting}: `{source.commands[0]}`{_rest(source)}" for source in table.sources]
        parts.append("\n".join(text) + "\n")
    return "\n".join(parts)


def latex(tables: Sequence[Table]) -> str:
    """Tables for a paper: ``booktabs``; the commands are comments."""
    parts = []
    for table in tables:
        lines = [f"% {source.setting}: {command}" for source in table.sources for command in source.commands]
        lines += [f"% the paper on {finding}" for finding in table.findings]
        lines += [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{lrl{'r' * len(table.columns)}}}", r"\toprule"]
        heads = ["", "seeds", "threshold", *(HEADINGS[column] for column in table.columns)]
        lines += [" & ".join(map(_escaped, heads)) + r" \\", r"\midrule"]
        lines += [" & ".join(map(_escaped, _cells(table, row))) + r" \\" for row in table.rows]
        caption = f"{table.title}; {BEST}." if any(row.kind == "best" for row in table.rows) else f"{table.title}."
        lines += [r"\bottomrule", r"\end{tabular}", rf"\caption{{{_escaped(caption)}}}", r"\end{table}"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def comma_separated(tables: Sequence[Table]) -> str:
    """All tables as one, with full precision, the spread in columns of its own."""
    columns = [column for column in HEADINGS if any(column in table.columns for table in tables)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    spread = [name for column in columns for name in (column, f"{column}_std")]
    writer.writerow(["protocol", "setting", "kind", "threshold", "n_seeds", "seeds", *spread, "commits", "commands"])
    for table in tables:
        sources = {source.setting: source for source in table.sources}
        for row in table.rows:
            numbers = [part for column in columns for part in _exact(row.numbers.get(column))]
            source = sources.get(row.name, Source("", (), ()))
            seeds = [len(row.seeds) or "", " ".join(map(str, row.seeds))]
            made = [" ".join(source.commits), "; ".join(source.commands)]
            writer.writerow([table.title, row.name, row.kind, row.threshold, *seeds, *numbers, *made])
    return text.getvalue()


FORMATS = {
    "markdown": Format("md", markdown),
    "latex": Format("tex", latex),
    "csv": Format("csv", comma_separated),
}


def _cells(table: Table, row: Row) -> list[str]:
    """A line of a table, for people; the name stands once for the two lines of a setting."""
    name = "" if row.kind == "best" else row.name
    seeds = str(len(row.seeds)) if row.seeds and row.kind == "fixed" else ""
    return [name, seeds, row.threshold, *(_shown(row.numbers.get(column), row) for column in table.columns)]


def _shown(number: Number | None, row: Row) -> str:
    """A number with three digits; figures of the paper as printed there, with two where that is all."""
    if number is None:
        return ""
    if row.kind == "published" and round(number.mean, 2) == number.mean:
        return f"{number.mean:.2f}"
    return f"{number.mean:.3f}" + (f" ± {number.spread:.3f}" if number.spread is not None else "")


def _exact(number: Number | None) -> tuple[str, str]:
    if number is None:
        return "", ""
    return repr(number.mean), "" if number.spread is None else repr(number.spread)


def _rest(source: Source) -> str:
    """How many more commands there are, and at which commit, in brackets."""
    more = len(source.commands) - 1
    said = [f"and {more} more, with the other seed{'s' if more > 1 else ''}"] if more else []
    said += [f"commit {', '.join(source.commits)}"] if source.commits else []
    return f" ({'; '.join(said)})" if said else ""


def _escaped(text: str) -> str:
    """Text with the characters that LaTeX understands otherwise."""
    return "".join(_ESCAPED.get(char, char) for char in text)
