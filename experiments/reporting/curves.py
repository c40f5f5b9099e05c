"""Curves as SVG: where lines and ticks lie. The page draws them; its own few lines need no script and no library.

A plotting library's script for pages is several megabytes, a hundred times the numbers that it draws, and a picture
from matplotlib keeps the colours of the theme that it was drawn for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from callbacks.measures.risk import risk_curve
from experiments.reporting.runs import Points, Run

WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 28
"""Margins around the plotted area, in the units of WIDTH and HEIGHT."""

MOST_POINTS = 200
"""Points of a line; longer ones are averaged."""

FRAMES_TITLE = "J of the test frames, sorted (box IoU where no frame has a mask)"
RISK_TITLE = "Risk (1 - J) of the frames with the highest scores"
FIRST = ("loss", "j_mean")
"""Curves that are shown at once, where they have more than a point; the others unfold."""


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
        run: Number of its run.
        label: What it is, for a tooltip.
        validation: Whether it is measured in validation (few points, which are marked) or in training.
        points: Places in the drawing.
    """

    run: int
    label: str
    validation: bool
    points: list[tuple[float, float]]


class Tick(NamedTuple):
    """One tick: its place in the drawing, and the number there."""

    place: float
    text: str


class Chart(NamedTuple):
    """One drawing.

    Attributes:
        title: What is drawn.
        x_title: What the horizontal axis is.
        lines: The lines.
        x_ticks: Ticks of the horizontal axis.
        y_ticks: Ticks of the vertical axis.
        summary: The same in words: where each line ends.
    """

    title: str
    x_title: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    summary: str


class Series(NamedTuple):
    """Numbers of one line: its run, what it is, whether it is a validation's, and its points, not empty."""

    run: int
    label: str
    validation: bool
    points: Sequence[tuple[float, float]]


def stage_charts(runs: Sequence[Run], stage: str) -> tuple[list[Chart], list[Chart]]:
    """The logged numbers of one stage, a chart each, with training and validation of all runs in it.

    Args:
        runs: The runs.
        stage: The stage.

    Returns:
        What is shown at once, and the rest.
    """
    found: dict[str, list[Series]] = {}
    for number, run in enumerate(runs):
        for name, points in (run.stages[stage].curves if stage in run.stages else {}).items():
            split, _, what = name.partition("/")
            if split not in ("train", "val") or not what:  # a learning rate, lr-Adam/decoder
                split, what = "", name
            label = f"{run.name} {split}".strip()
            found.setdefault(what, []).append(Series(number, label, split == "val", thinned(points)))
    order = sorted(found, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    charts = {name: chart(name, "step", found[name]) for name in order}
    first = [name for name in order if name in FIRST and any(len(line.points) > 1 for line in found[name])]
    return [charts[name] for name in first], [charts[name] for name in order if name not in first]


def test_charts(runs: Sequence[Run]) -> list[Chart]:
    """What the test frames say: their measure, sorted, and the risk against the coverage, as far as there are any."""
    return [found for found in (frames_chart(runs), risk_chart(runs)) if found is not None]


def risk_chart(runs: Sequence[Run]) -> Chart | None:
    """The risk among the frames with the highest scores of all runs; None where no run has scores."""
    series = []
    for number, run in enumerate(runs):
        if run.scored:
            score, j = np.asarray(run.scored).T
            risk = risk_curve(score, j)
            shares = 100 * np.arange(1, len(risk) + 1) / len(risk)
            points = thinned(list(zip(shares.tolist(), risk.tolist(), strict=True)))
            series.append(Series(number, run.name, False, points))
    return chart(RISK_TITLE, "coverage: share of the frames, the highest scores first, %", series) if series else None


def frames_chart(runs: Sequence[Run]) -> Chart | None:
    """The measure of every test frame of all runs, sorted; None where no run has any."""
    series = []
    for number, run in enumerate(runs):
        values = sorted(run.frames)
        shares = np.linspace(0, 100, len(values)).tolist() if len(values) > 1 else [0.0] * len(values)
        if values:
            series.append(Series(number, run.name, False, thinned(list(zip(shares, values, strict=True)))))
    return chart(FRAMES_TITLE, "share of the frames, %", series) if series else None


def thinned(points: Points | Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Average neighbouring points, so that at most MOST_POINTS are left."""
    values = np.asarray(points, dtype=np.float64)
    parts = np.array_split(values, min(len(values), MOST_POINTS))
    return [(float(x), float(y)) for x, y in (part.mean(axis=0) for part in parts)]


def chart(title: str, x_title: str, series: Sequence[Series]) -> Chart:
    """Lay out one drawing.

    Args:
        title: What is drawn.
        x_title: What the horizontal axis is.
        series: Its lines, at least one.

    Returns:
        The chart.
    """
    x_numbers = axis_ticks([0.0, *(x for line in series for x, _ in line.points)])
    y_numbers = axis_ticks(y for line in series for _, y in line.points)

    def across(x: float) -> float:
        return LEFT + (x - x_numbers[0]) / (x_numbers[-1] - x_numbers[0]) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_numbers[0]) / (y_numbers[-1] - y_numbers[0]) * (HEIGHT - TOP - BOTTOM)

    lines = [
        Line(run, label, validation, [(round(across(x), 1), round(down(y), 1)) for x, y in points])
        for run, label, validation, points in series
    ]
    return Chart(
        title,
        x_title,
        lines,
        [Tick(round(across(x), 1), f"{x:g}") for x in x_numbers],
        [Tick(round(down(y), 1), f"{y:g}") for y in y_numbers],
        "; ".join(f"{line.label} ends at {line.points[-1][1]:.3g}" for line in series),
    )


def axis_ticks(values: Iterable[float]) -> list[float]:
    """Round numbers around some values, at least two, in ascending order."""
    found = list(values)
    low, high = min(found), max(found)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # what is constant differs by rounding once it is averaged
        half = abs(low) / 2 or 0.5
        low, high = low - half, high + half
    return [float(f"{tick:.12g}") for tick in MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
