"""The page itself: everything that was read and drawn, in one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from backdrop.errors import one_line
from experiments.reporting import curves, tables
from experiments.reporting.pictures import WHOLE, Panel, sheet_panels
from experiments.reporting.runs import STAGES, Run
from experiments.reporting.templates import template
from experiments.results.writers import html

COMPARED = ("frame and box", "background", "painted", "soft mask", "overlay")
"""Columns of the test sheet that are kept for the comparison of two runs."""

COLOURS = 8
"""Runs that differ by colour; further ones have another look."""

LOOKS = ("", " dashed", " dotted")


class Pictures(NamedTuple):
    """The pictures of one run, by row.

    Attributes:
        run: Number of the run.
        chosen: The worst, the median and the best test frames.
        test: Test frames that lie evenly over the split, the same in every run of a data set.
        inpainter: The last validation sheet of stage 1.
    """

    run: int
    chosen: list[list[Panel]]
    test: list[list[Panel]]
    inpainter: list[list[Panel]]

    @property
    def comparable(self) -> bool:
        """Whether the test frames are known one by one, as those of sheets of earlier versions are not."""
        return any(panel.column != WHOLE for row in self.test for panel in row)


def page(runs: Sequence[Run], title: str, made: str, tick: Callable[[], None]) -> str:
    """Lay out the report.

    Args:
        runs: The runs; pictures that cannot be read are added to their problems.
        title: What the page is called.
        made: What made it: command, commit, date.
        tick: Called once a run, when its pictures are read.

    Returns:
        The HTML.
    """
    pictures = []
    for number, run in enumerate(runs):
        pictures.append(_pictures(number, run))
        tick()
    charts = {stage: curves.stage_charts(runs, stage) for stage in STAGES}
    return template("page.html").render(
        title=title,
        made=made,
        runs=runs,
        look=look,
        whole=WHOLE,
        scores=[*tables.score_tables(runs), *tables.clip_tables(runs)],
        settings=tables.setting_tables(runs),
        origins=tables.origin_table(runs),
        tabulated=partial(html, mark=swatch),
        swatch=swatch,
        charts={stage: both for stage, both in charts.items() if any(both)},
        frames_chart=curves.frames_chart(runs),
        drawing=_drawing(),
        pictures=[found for found in pictures if any(found[1:])],
        problems=[problem for run in runs for problem in run.problems],
    )


def look(run: int) -> str:
    """The classes that tell the lines of a run from those of others."""
    return f"c{run % COLOURS}{LOOKS[run // COLOURS % len(LOOKS)]}"


def swatch(run: int) -> Markup:
    """A sample of a run's lines."""
    return Markup('<span class="swatch {}" aria-hidden="true"></span>\n').format(look(run))


def _drawing() -> dict[str, Any]:
    """The measures of a chart, for the template."""
    names = ("WIDTH", "HEIGHT", "LEFT", "RIGHT", "TOP", "BOTTOM")
    return {name.lower(): getattr(curves, name) for name in names}


def _pictures(number: int, run: Run) -> Pictures:
    sheets = sorted((run.folder / "inpaint" / "images").glob("val_*.png"))  # their names hold the step
    return Pictures(
        number,
        _sheet(run, run.images / "test_frames.png"),
        _sheet(run, run.images / "test_sheet.png", COMPARED),
        _sheet(run, sheets[-1]) if sheets else [],
    )


def _sheet(run: Run, path: Path, columns: Sequence[str] | None = None) -> list[list[Panel]]:
    """Read a sheet; note it among the run's problems where it is damaged."""
    try:
        return sheet_panels(path, columns) if path.exists() else []
    except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:  # what Pillow raises of a damaged PNG
        run.problems.append(f"{path} cannot be read ({one_line(error)}); it is left out.")
        return []
