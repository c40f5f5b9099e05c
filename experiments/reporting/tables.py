"""The tables of the page: scores, clips, settings that differ, and what made the numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from backdrop.settings import Role
from experiments.commands.evaluate import COLUMNS, TITLES
from experiments.reporting.runs import STAGES, Run
from experiments.runs import provenance
from experiments.runs.folder import flat
from experiments.runs.settings import role

PARTS = {"held_out": "", "trained": " (frames trained on)"}
CHECK_SUM = "run.inpainter_sha256"
"""A setting that says nothing to a reader."""


class Cell(NamedTuple):
    """One cell: what is shown, what it is sorted by (None where the text serves), and which result it is."""

    text: str
    value: float | None = None
    key: str = ""


class Row(NamedTuple):
    """One row: its name, its cells, and the number of its run (None where it is no run's)."""

    name: str
    cells: list[Cell]
    run: int | None = None


class Table(NamedTuple):
    """One table: what it is, the titles of its columns behind the first one, and its rows."""

    caption: str
    columns: list[str]
    rows: list[Row]


def number(value: Any, key: str = "") -> Cell:  # noqa: ANN401  any JSON value
    """A measure with three digits; an empty cell where there is none."""
    return Cell(f"{value:.3f}", float(value), key) if isinstance(value, int | float) else Cell("")


def score_tables(runs: Sequence[Run]) -> list[Table]:
    """The scores at the fixed and at the best threshold, runs first, then the floors.

    Args:
        runs: The runs.

    Returns:
        One table each, without those that would be empty.
    """
    fixed = Table("Scores at the fixed threshold 0.50", [*_titles(), "AP", "frames", "data"], [])
    best = Table("Scores at the best threshold, chosen with the test labels", ["threshold", *_titles()], [])
    for run, part, results in _results(runs):
        name = f"{runs[run].name}{PARTS[part]}"
        _add_scores(fixed, best, name, results, run)
    for name, floor in _floors(runs).items():
        _add_scores(fixed, best, name, floor, None)
    return [table for table in (fixed, best) if table.rows]


def _titles() -> list[str]:
    return [TITLES[name] for name in COLUMNS]


def _add_scores(fixed: Table, best: Table, name: str, results: Mapping[str, Any], run: int | None) -> None:
    cells = [number(results.get(column), column) for column in (*COLUMNS, "average_precision")]
    frames = results.get("frames")
    cells.append(Cell(str(frames), frames) if isinstance(frames, int) else Cell(""))
    fixed.rows.append(Row(name, [*cells, Cell(_data(results))], run))
    if isinstance(threshold := results.get("best_threshold"), float):
        cells = [number(results.get(f"best_{column}"), f"best_{column}") for column in COLUMNS]
        best.rows.append(Row(name, [Cell(f"{threshold:.2f}", threshold, "best_threshold"), *cells], run))


def _data(results: Mapping[str, Any]) -> str:
    """The data set of some results, and whether they are transductive; nothing where that is not known."""
    settings = (results.get("made_by") or {}).get("settings") or {}
    name = str(settings.get("data") or "")
    return f"{name}, transductive" if settings.get("transductive") else name


def _results(runs: Sequence[Run]) -> Iterable[tuple[int, str, dict[str, Any]]]:
    """Number of the run, evaluated part, results."""
    return ((place, part, results) for place, run in enumerate(runs) for part, results in run.results.items())


def _floors(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """The trivial floors; where all runs of a data set have the same ones, they are named once."""
    known: dict[str, list[tuple[dict[str, Any], list[str]]]] = {}
    for place, part, results in _results(runs):
        for name, floor in (results.get("floors") or {}).items():
            entries = known.setdefault(name.replace("_", " "), [])
            owner = f"{runs[place].name}{PARTS[part]}"
            same = next((owners for other, owners in entries if other == floor), None)
            if same is None:
                entries.append((floor, [owner]))
            else:
                same.append(owner)
    return {
        name if len(entries) == 1 else f"{name} ({', '.join(owners)})": floor
        for name, entries in known.items()
        for floor, owners in entries
    }


def clip_tables(runs: Sequence[Run]) -> list[Table]:
    """J and the hit rate of each clip, one column a run.

    Args:
        runs: The runs.

    Returns:
        The tables, without those that would be empty.
    """
    found = [(place, part, results["clips"]) for place, part, results in _results(runs) if results.get("clips")]
    clips = sorted({name for _, _, table in found for name in table})
    titles = [f"{runs[place].name}{PARTS[part]}" for place, part, _ in found]
    tables = []
    for measure, caption in (("j_mean", "J of each clip, threshold 0.50"), ("hit_rate", "Hit rate of each clip")):
        rows = [
            Row(clip, [number(table.get(clip, {}).get(measure), measure) for _, _, table in found]) for clip in clips
        ]
        if any(cell.value is not None for row in rows for cell in row.cells):
            tables.append(Table(caption, titles, rows))
    return tables


def setting_tables(runs: Sequence[Run]) -> list[Table]:
    """Settings in which the runs differ, stage by stage.

    Args:
        runs: The runs.

    Returns:
        One table for each stage of which there are two runs or more.
    """
    tables = []
    for stage in STAGES:
        members = [run for run in runs if stage in run.stages and run.stages[stage].config]
        settings = [dict(_compared(run.stages[stage].config)) for run in members]
        names = sorted({name for known in settings for name in known})
        differing = [name for name in names if len({known.get(name, "") for known in settings}) > 1]
        rows = [Row(name, [Cell(known.get(name, "")) for known in settings]) for name in differing]
        if len(members) > 1:
            tables.append(Table(f"Settings that differ, stage {stage}", [run.name for run in members], rows))
    return tables


def _compared(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(dotted name, value) of the settings that are not of the place."""
    for name, value in flat(config):
        if name != CHECK_SUM and role(name, config) is not Role.PLACE:
            yield name, _said(value)


def _said(value: Any) -> str:  # noqa: ANN401  any YAML value
    return value if isinstance(value, str) else json.dumps(value, default=str)


def origin_table(runs: Sequence[Run]) -> Table:
    """What made each run: data, seed, length, commits, command."""
    columns = ["data", "profile", "seed", "steps", "trained by", "evaluated by", "command", "date"]
    return Table("What made the numbers", columns, [Row(run.name, _origin(run), at) for at, run in enumerate(runs)])


def _origin(run: Run) -> list[Cell]:
    last = next((run.stages[stage].config for stage in reversed(STAGES) if stage in run.stages), {})
    named = last.get("run") or {}
    made = (run.results.get("held_out") or run.results.get("trained") or {}).get("made_by") or {}
    settings = made.get("settings") or {}
    commits = named.get("commits") or (made.get("trained_by") or {}).get("commits") or []
    steps = "; ".join(f"{stage} {done}" for stage in STAGES if (done := _steps(run, stage)))
    evaluated = provenance.named(made)
    return [
        Cell(_data({"made_by": made}) or str(named.get("data") or "")),
        Cell(str(named.get("profile") or settings.get("profile") or "")),
        Cell(_known(last.get("seed_everything", made.get("seed")))),
        Cell(steps or _known(settings.get("steps"))),
        Cell(", ".join(map(provenance.short, commits))),
        Cell(provenance.short(evaluated) if evaluated else ""),
        Cell(str(made.get("command") or "")),
        Cell(str(made.get("date") or "")),
    ]


def _known(value: Any) -> str:  # noqa: ANN401  any JSON value
    return "" if value is None else str(value)


def _steps(run: Run, stage: str) -> str:
    """How far a stage was trained, of how far it should be."""
    found = run.stages.get(stage)
    if found is None or not found.curves:
        return ""
    done = 1 + max(step for points in found.curves.values() for step, _ in points)
    goal = (found.config.get("trainer") or {}).get("max_steps") or -1
    return f"{done} of {goal}" if goal > done else str(done)
