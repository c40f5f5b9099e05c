"""The page itself: everything that was read and drawn, in one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from backdrop.errors import one_line
from experiments.reporting import curves, glance, tables
from experiments.reporting.pictures import WHOLE, Panel, sheet_panels
from experiments.reporting.runs import STAGES, Run
from experiments.reporting.templates import template
from experiments.results.writers import html

COMPARED = ("frame and box", "background", "inpainted", "soft mask", "overlay")
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
        validation: The last one of stage 2, where it is not evaluated.
    """

    run: int
    chosen: list[list[Panel]]
    test: list[list[Panel]]
    inpainter: list[list[Panel]]
    validation: list[list[Panel]]

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
    cards = [glance.card(one.run, runs[one.run], (one.chosen, one.test, one.validation)) for one in pictures]
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
        test_charts=curves.test_charts(runs),
        cards=cards,
        card_terms=[name for name in glance.TERMS if name in {heading for one in cards for heading, _ in one.figures}],
        bars=glance.bars(runs),
        terms=glance.TERMS,
        drawing=_drawing(),
        pictures=[found for found in pictures if any(found[1:])],
        comparable=_comparable(pictures),
        problems=[problem for run in runs for problem in run.problems],
    )


def _comparable(pictures: Sequence[Pictures]) -> list[Pictures]:
    """Runs whose test frames are known one by one, and shared with another run."""
    known = [(found, {row[0].row for row in found.test if row}) for found in pictures if found.comparable]
    return [found for found, own in known if any(own & other for one, other in known if one is not found)]


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
    test = _sheet(run, run.images / "test_sheet.png", COMPARED)
    return Pictures(
        number,
        _sheet(run, run.images / "test_frames.png"),
        test,
        _last_sheet(run, run.folder / "inpaint" / "images"),
        [] if test else _last_sheet(run, run.images),
    )


def _last_sheet(run: Run, images: Path) -> list[list[Panel]]:
    """The last validation sheet of a stage; the names of sheets hold the step."""
    sheets = sorted(images.glob("val_step_*.png"))
    return _sheet(run, sheets[-1]) if sheets else []


def _sheet(run: Run, path: Path, columns: Sequence[str] | None = None) -> list[list[Panel]]:
    """Read a sheet; note it among the run's problems where it is damaged."""
    try:
        return sheet_panels(path, columns) if path.exists() else []
    except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:  # what Pillow raises of a damaged PNG
        run.problems.append(f"{path} cannot be read ({one_line(error)}); it is left out.")
        return []
