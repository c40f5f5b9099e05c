"""The table: headings, rows, numbers with their spread, and notes; see :mod:`experiments.results.writers`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        heading: In print; None for a column that only files of numbers have.
        key: In files of numbers; None for a column that only print has.
        words: Whether it holds words, which begin at the left, and no numbers.
        spread: Whether its numbers may have a spread.
        optional: Whether it is left out where no row fills it.
    """

    heading: str | None
    key: str | None = None
    words: bool = False
    spread: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: In print.
        value: In files of numbers, exact; None where the text serves.
        spread: Standard deviation of the value; None where there is none.
    """

    text: str = ""
    value: float | str | None = None
    spread: float | None = None


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        cells: One for each column.
        rule: Whether there is a line above it.
        look: ``floor`` is what a prediction scores that looks at nothing, ``total`` a sum.
        run: Position of the run that it is of, where there are several; None where it is no run's.
    """

    cells: tuple[Cell, ...]
    rule: bool = False
    look: str = ""
    run: int | None = None


@dataclass(frozen=True)
class Source:
    """What made the rows of a name.

    Attributes:
        name: Their name.
        commands: What was typed, for each seed.
        commits: Commits of the source code that trained it, abbreviated.
    """

    name: str
    commands: tuple[str, ...]
    commits: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: What it shows.
        columns: The first one names the rows in print.
        rows: The lines.
        note: A remark on all of it; empty for none.
        remarks: Remarks on single rows.
        sources: What made the rows.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    remarks: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()

    def printed(self) -> list[tuple[int, str]]:
        """Position and heading of each column in print."""
        return [
            (place, column.heading)
            for place, column in enumerate(self.columns)
            if column.heading is not None and (not column.optional or self.fills(place))
        ]

    def fills(self, place: int) -> bool:
        """Whether any row has something in a column."""
        return any(row.cells[place].text for row in self.rows)


def columns(*headings: str, words: int = 1) -> tuple[Column, ...]:
    """Columns that print alone has, of which the first ones hold words."""
    return tuple(Column(heading, words=place < words) for place, heading in enumerate(headings))


def row(*cells: Cell | str, rule: bool = False, look: str = "", run: int | None = None) -> Row:
    """A line of cells, of which those that are text need no more."""
    return Row(tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells), rule, look, run)


def number(value: float | None, spread: float | None = None) -> Cell:
    """A measure with three digits; an empty cell where there is none."""
    if value is None or value != value:
        return Cell()
    return Cell(f"{value:.3f}" + (f" ± {spread:.3f}" if spread is not None else ""), float(value), spread)


def mean(values: Sequence[float | None]) -> Cell:
    """The mean of a measure and its standard deviation (of a sample, n - 1); empty where a value is missing."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Cell()
    return number(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)
