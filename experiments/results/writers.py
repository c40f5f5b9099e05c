"""The writers of tables: for a terminal, and as Markdown, LaTeX (booktabs), CSV and HTML."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from experiments.results.table import Cell, Row, Source, Table

_COMMANDS = {"±": r"$\pm$", "~": r"\textasciitilde{}", "\\": r"\textbackslash{}"}
_ESCAPED = {char: f"\\{char}" for char in "&%$#_{}"} | _COMMANDS


@dataclass(frozen=True)
class Format:
    """A way to write tables to a file.

    Attributes:
        suffix: Of its files.
        write: Makes the text of some tables.
    """

    suffix: str
    write: Callable[[Sequence[Table]], str]


def terminal(*tables: Table) -> None:
    """Print tables, as wide as the terminal, or 120 characters where there is none."""
    import rich.table
    from rich.console import Console
    from rich.markup import escape as escape_rich

    console = Console(width=None if sys.stdout.isatty() else 120)
    for table in tables:
        printed = table.printed()
        shown = rich.table.Table(title=escape_rich(table.title))
        for place, heading in printed:
            shown.add_column(heading, justify="left" if table.columns[place].words else "right")
        for row in table.rows:
            if row.rule:
                shown.add_section()
            cells = (escape_rich(row.cells[place].text) for place, _ in printed)
            shown.add_row(*cells, style="bold" if row.look == "total" else None)
        console.print(shown)


def markdown(tables: Sequence[Table]) -> str:
    """Tables for a README, with a line for each command below."""
    parts = []
    for table in tables:
        rule = ["---" if table.columns[place].words else "---:" for place, _ in table.printed()]
        heads, *lines = (list(map(_plain, cells)) for cells in _lines(table))
        text = [f"**{table.title}**", "", *(f"| {' | '.join(cells)} |" for cells in (heads, rule, *lines)), ""]
        text += [f"{table.note}.", ""] if table.note else []
        text += [f"- {remark}" for remark in table.remarks] + [""] * bool(table.remarks)
        text += [f"- {source.name}: `{source.commands[0]}`{_rest(source)}" for source in table.sources]
        parts.append("\n".join(text) + "\n")
    return "\n".join(parts)


def latex(tables: Sequence[Table]) -> str:
    """Tables for a paper: ``booktabs``; the commands are comments."""
    parts = []
    for table in tables:
        lines = [f"% {source.name}: {command}" for source in table.sources for command in source.commands]
        lines += [f"% {remark}" for remark in table.remarks]
        form = "".join("l" if table.columns[place].words else "r" for place, _ in table.printed())
        lines += [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{{form}}}", r"\toprule"]
        heads, *body = [" & ".join(map(_escaped, cells)) + r" \\" for cells in _lines(table)]
        caption = f"{table.title}; {table.note}." if table.note else f"{table.title}."
        lines += [heads, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
        lines += [rf"\caption{{{_escaped(caption)}}}", r"\end{table}"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def comma_separated(tables: Sequence[Table]) -> str:
    """Tables of the same columns as one, with full precision, the spread in columns of its own."""
    columns = [
        (place, column)
        for place, column in enumerate(tables[0].columns)
        if column.key is not None and (not column.optional or any(table.fills(place) for table in tables))
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for _, one in columns for name in (one.key, *([f"{one.key}_std"] if one.spread else []))])
    for row in (row for table in tables for row in table.rows):
        writer.writerow([part for place, column in columns for part in _exact(row.cells[place], column.spread)])
    return text.getvalue()


def html(table: Table, mark: Callable[[int], Markup] = lambda run: Markup("")) -> Markup:
    """A table for a page, whose script sorts it where it holds numbers.

    Args:
        table: The table.
        mark: What stands before the name of a run's row, from the run's position.
    """
    numbers = any(_is_number(cell) for row in table.rows for cell in row.cells)
    heads = Markup("\n").join(
        Markup('<th scope="col">{}</th>').format(
            Markup('<button type="button">{}</button>').format(heading) if numbers and heading else heading
        )
        for _, heading in table.printed()
    )
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{title}">\n<table{words}>\n'
        "<caption>{title}</caption>\n<thead><tr>\n{heads}\n</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    ).format(
        title=table.title,
        words=Markup("" if numbers else ' class="words"'),
        heads=heads,
        body=Markup("\n").join(_html_row(table, row, mark) for row in table.rows),
    )


FORMATS = {
    "markdown": Format("md", markdown),
    "latex": Format("tex", latex),
    "csv": Format("csv", comma_separated),
}


def _lines(table: Table) -> list[list[str]]:
    """The headings and all lines in print."""
    printed = table.printed()
    body = ([row.cells[place].text for place, _ in printed] for row in table.rows)
    return [[heading for _, heading in printed], *body]


def _exact(cell: Cell, spread: bool) -> list[object]:
    """A cell in a file of numbers, and its spread."""
    own = cell.text if cell.value is None else cell.value
    return [own, "" if cell.spread is None else cell.spread] if spread else [own]


def _rest(source: Source) -> str:
    """How many more commands there are, and at which commit, in brackets."""
    more = len(source.commands) - 1
    parts = [f"and {more} more, with the other seed{'s' if more > 1 else ''}"] if more else []
    parts += [f"commit {', '.join(source.commits)}"] if source.commits else []
    return f" ({'; '.join(parts)})" if parts else ""


def _escaped(text: str) -> str:
    """Text with the characters that LaTeX understands otherwise."""
    return "".join(_ESCAPED.get(char, char) for char in text)


def _plain(text: str) -> str:
    """Text in a cell of Markdown: what would end the cell, or begin mark-up, is taken as it stands."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(text.split()))


def _is_number(cell: Cell) -> bool:
    return isinstance(cell.value, float | int)


def _html_row(table: Table, row: Row, mark: Callable[[int], Markup]) -> Markup:
    """A line of a page's table: its name, then its cells with the exact numbers beside them."""
    (first, _), *others = table.printed()
    cells = []
    for place, _ in others:
        cell, key = row.cells[place], table.columns[place].key
        value = Markup(' data-value="{}"').format(cell.value) if _is_number(cell) else ""
        named = Markup(' data-key="{}"').format(key) if key and value else ""
        cells.append(Markup("<td{}{}>{}</td>").format(value, named, cell.text))
    return Markup("<tr{look}>\n<th scope=\"row\">{mark}{name}</th>\n{cells}\n</tr>").format(
        look=Markup(' class="{}"').format(row.look) if row.look else "",
        mark="" if row.run is None else mark(row.run),
        name=row.cells[first].text,
        cells=Markup("\n").join(cells),
    )
