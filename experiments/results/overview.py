"""What was measured just now, for the terminal: one run, or several methods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experiments.results.evaluation import BEST
from experiments.results.measures import MEASURES, RANKING, SECONDS, SUBJECT_MEASURES
from experiments.results.record import Numbers, Results
from experiments.results.table import Cell, Row, Table, columns, number, row
from experiments.results.writers import terminal


def show(path: Path, results: Results) -> None:
    """Print the numbers of a run, and where they are.

    Args:
        path: Where they were written.
        results: The numbers.
    """
    if results.made_by.settings.protocol is not None:
        terminal(official_table(results))
        print("DAVIS: at the clips' own size, without the first and the last frame; recall is the share above 0.5")
        print(f"numbers: {path}")
        return
    terminal(run_table(results), *([subjects_table(results)] if results.subjects is not None else []))
    print(f"rows at the best threshold: {BEST}")
    if results.made_by.settings.transductive:
        print("transductive: the model was trained on the frames that are scored, never on their masks")
    if results.made_by.cues_agree is not None:
        print(f"without labels: the cues agree in {results.made_by.cues_agree:.0%} of the frames that were trained on")
    print(f"numbers: {path}")


def run_table(results: Results) -> Table:
    """The model, the floors and the clips of a run."""
    settings = results.made_by.settings
    title = f"{settings.data} ({settings.profile}), {_frames(results)}, mean over clips"
    named = {"model": results.numbers, **{name.replace("_", " "): floor for name, floor in results.floors.items()}}
    rows = [line for name, numbers in named.items() for line in _lines(name, numbers, _ranking(numbers))]
    for place, (name, numbers) in enumerate(results.clips.items()):
        rows.append(_lines(name, numbers, _ranking(numbers), rule=place == 0)[0])
    return Table(title, columns("", "threshold", *MEASURES.values(), *RANKING.values()), tuple(rows))


def official_table(results: Results) -> Table:
    """The figures of DAVIS: the model, the floors and the clips of a run."""
    names = {"j_mean": "J", "j_recall": "recall", "j_decay": "decay", "boundary_f": "F"}
    names |= {"boundary_recall": "recall", "boundary_decay": "decay"}
    named = {"model": results.numbers, **{name.replace("_", " "): floor for name, floor in results.floors.items()}}
    rows = [row(name, *(number(one.get(key)) for key in names)) for name, one in named.items()]
    for place, (name, one) in enumerate(results.clips.items()):
        rows.append(row(name, *(number(one.get(key)) for key in names), rule=place == 0))
    title = f"{results.made_by.settings.data}, {_frames(results)}, mean over clips"
    return Table(title, columns("", *names.values()), tuple(rows))


def subjects_table(results: Results) -> Table:
    """What was found of several subjects in a run."""
    several = results.subjects or {}
    named = {"model": (results.numbers, several)}
    named |= {name: (results.clips[name], numbers) for name, numbers in several["clips"].items()}
    rows = [
        row(name, number(union.get("j_mean")), *(number(numbers.get(measure)) for measure in SUBJECT_MEASURES))
        for name, (union, numbers) in named.items()
    ]
    title = f"up to {results.made_by.settings.subjects} subjects in a frame"
    return Table(title, columns("", "J of the union", *SUBJECT_MEASURES.values()), tuple(rows))


def methods_table(results: Mapping[str, Results], title: str) -> Table:
    """Several methods and the floors, at the fixed threshold and at the best.

    Args:
        results: By method, at least one.
        title: What they were measured on.
    """
    rows = [
        line
        for name, one in results.items()
        for line in _lines(name, one.numbers, [number(getattr(one.made_by, column)) for column in SECONDS])
    ]
    for place, (name, floor) in enumerate(next(iter(results.values())).floors.items()):
        rows += _lines(name, floor, [Cell() for _ in SECONDS], rule=place == 0)
    return Table(title, columns("method", "threshold", *MEASURES.values(), *SECONDS.values()), tuple(rows))


def _frames(results: Results) -> str:
    """How many frames were scored, in words; where few of them have a mask, how many do."""
    frames, masks = results.numbers["frames"], results.numbers["masks"]
    return f"{frames} test frames" if masks == frames else f"{frames} test frames, {masks} of them with a mask"


def _ranking(numbers: Numbers) -> list[Cell]:
    return [number(numbers.get(name)) for name in RANKING]


def _lines(name: str, numbers: Numbers, more: list[Cell], rule: bool = False) -> list[Row]:
    """The line of the fixed threshold and, where there are masks, that of the best of the grid.

    Args:
        name: What was measured.
        numbers: Its numbers.
        more: Further cells of the first line.
        rule: Whether there is a line above it.
    """
    fixed = "0.50" if numbers["masks"] else ""
    rows = [row(name, fixed, *(number(numbers.get(measure)) for measure in MEASURES), *more, rule=rule)]
    if (level := numbers.get("best_threshold")) is not None:
        cells = (number(numbers.get(f"best_{measure}")) for measure in MEASURES)
        rows.append(row("", f"best {level:.2f}", *cells, *("" for _ in more)))
    return rows
