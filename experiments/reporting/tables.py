"""The tables of the page: scores, clips, settings that differ, and what made the numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from backdrop.settings import Role
from experiments.reporting.runs import STAGES, Run
from experiments.results.measures import MEASURES, RANKING
from experiments.results.record import Numbers, Part, Results
from experiments.results.table import Cell, Column, Row, Table, columns, number, row
from experiments.runs import provenance
from experiments.runs.folder import flat
from experiments.runs.settings import role

PARTS: dict[Part, str] = {"held_out": "", "trained": " (frames trained on)"}
CHECK_SUM = "run.inpainter_sha256"
"""A setting that says nothing to a reader."""


def score_tables(runs: Sequence[Run]) -> list[Table]:
    """The scores at the fixed and at the best threshold, runs first, then the floors.

    Args:
        runs: The runs.

    Returns:
        One table each, without those that would be empty.
    """
    more = [Column(heading, name) for name, heading in RANKING.items()]
    fixed = (Column("", words=True), *_measures(""), *more, Column("frames"), Column("data", words=True))
    best = (Column("", words=True), Column("threshold", "best_threshold"), *_measures("best_"))
    lines = [_scores(_named(runs, run, part), found.numbers, _data(found), run) for run, part, found in _results(runs)]
    lines += [_scores(name, floor, "", None) for name, floor in _floors(runs).items()]
    tables = [
        Table("Scores at the fixed threshold 0.50", fixed, tuple(line for line, _ in lines)),
        Table("Scores at the best threshold, chosen with the test labels", best, tuple(b for _, b in lines if b)),
    ]
    return [table for table in tables if table.rows]


def _measures(prefix: str) -> list[Column]:
    return [Column(heading, f"{prefix}{name}") for name, heading in MEASURES.items()]


def _scores(name: str, numbers: Numbers, data: str, run: int | None) -> tuple[Row, Row | None]:
    """The lines of some numbers at the fixed and at the best threshold; of a floor where they are no run's."""
    look = "floor" if run is None else ""
    frames = numbers.get("frames")
    cells = [number(numbers.get(measure)) for measure in (*MEASURES, *RANKING)]
    fixed = row(name, *cells, Cell("" if frames is None else str(frames), frames), data, look=look, run=run)
    if (level := numbers.get("best_threshold")) is None:
        return fixed, None
    cells = [number(numbers.get(f"best_{measure}")) for measure in MEASURES]
    return fixed, row(name, Cell(f"{level:.2f}", level), *cells, look=look, run=run)


def _data(results: Results) -> str:
    """The data set of some results, and whether they are transductive; nothing where that is not known."""
    settings = results.made_by.settings
    return f"{settings.data or ''}, transductive" if settings.transductive else settings.data or ""


def _results(runs: Sequence[Run]) -> Iterable[tuple[int, Part, Results]]:
    """Position of the run, evaluated part, results."""
    return ((place, part, results) for place, run in enumerate(runs) for part, results in run.results.items())


def _named(runs: Sequence[Run], place: int, part: Part) -> str:
    return f"{runs[place].name}{PARTS[part]}"


def _floors(runs: Sequence[Run]) -> dict[str, Numbers]:
    """The trivial floors; where all runs of a data set have the same ones, they are named once."""
    known: dict[str, list[tuple[Numbers, list[str]]]] = {}
    for place, part, results in _results(runs):
        for name, floor in results.floors.items():
            entries = known.setdefault(name.replace("_", " "), [])
            same = next((owners for other, owners in entries if other == floor), None)
            if same is None:
                entries.append((floor, [_named(runs, place, part)]))
            else:
                same.append(_named(runs, place, part))
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
    found = [(_named(runs, place, part), results.clips) for place, part, results in _results(runs) if results.clips]
    clips = sorted({name for _, numbers in found for name in numbers})
    tables = []
    for measure, title in (("j_mean", "J of each clip, threshold 0.50"), ("hit_rate", "Hit rate of each clip")):
        heads = (Column("", words=True), *(Column(name, measure) for name, _ in found))
        rows = tuple(row(clip, *(number(one.get(clip, {}).get(measure)) for _, one in found)) for clip in clips)
        tables.append(Table(title, heads, rows))
    return [table for table in tables if any(map(table.fills, range(1, len(table.columns))))]


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
        rows = tuple(row(name, *(known.get(name, "") for known in settings)) for name in differing)
        if len(members) > 1:
            heads = columns("", *(run.name for run in members), words=1 + len(members))
            tables.append(Table(f"Settings that differ, stage {stage}", heads, rows))
    return tables


def _compared(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(dotted name, value) of the settings that are not of the place."""
    for name, value in flat(config):
        if name != CHECK_SUM and role(name, config) is not Role.PLACE:
            yield name, _text(value)


def _text(value: Any) -> str:  # noqa: ANN401  any YAML value
    return value if isinstance(value, str) else json.dumps(value, default=str)


def origin_table(runs: Sequence[Run]) -> Table:
    """What made each run: data, seed, length, commits, command."""
    heads = ("data", "profile", "seed", "steps", "trained by", "evaluated by", "command", "date")
    rows = tuple(row(run.name, *_origin(run), run=place) for place, run in enumerate(runs))
    return Table("What made the numbers", columns("", *heads, words=1 + len(heads)), rows)


def _origin(run: Run) -> list[str]:
    last = next((run.stages[stage].config for stage in reversed(STAGES) if stage in run.stages), {})
    named = last.get("run") or {}
    results = run.results.get("held_out") or run.results.get("trained")
    made = results.made_by if results else None
    commits = named.get("commits") or ((made.trained_by if made else None) or {}).get("commits") or []
    steps = "; ".join(f"{stage} {done}" for stage in STAGES if (done := _steps(run, stage)))
    evaluated = provenance.named(made.commit, made.dirty) if made else None
    cells = (
        (_data(results) if results else "") or named.get("data"),
        named.get("profile") or (made.settings.profile if made else None),
        last.get("seed_everything", made.seed if made else None),
        steps or (made.settings.steps if made else None),
        ", ".join(map(provenance.short, commits)),
        provenance.short(evaluated) if evaluated else None,
        made.command if made else None,
        made.date if made else None,
    )
    return ["" if cell is None else str(cell) for cell in cells]


def _steps(run: Run, stage: str) -> str:
    """How far a stage was trained, of how far it should be."""
    found = run.stages.get(stage)
    if found is None or not found.curves:
        return ""
    done = 1 + max(step for points in found.curves.values() for step, _ in points)
    goal = (found.config.get("trainer") or {}).get("max_steps") or -1
    return f"{done} of {goal}" if goal > done else str(done)
