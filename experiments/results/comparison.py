"""Tables of results: mean and spread over seeds, the paper's figures beside them, and what made each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from backdrop.program import MODULE, SCRIPT
from datamodules.clips.problems import counted
from experiments.results.entries import Entry, by_protocol, by_setting, require_one_protocol
from experiments.results.measures import HEADINGS, MEASURES, OFFICIAL, RANKING, SECONDS
from experiments.results.record import Numbers
from experiments.results.table import Cell, Column, Row, Source, Table, mean, number, row
from experiments.runs import provenance

PUBLISHED = Path(__file__).parent / "published.yaml"
BEST = "best: the threshold of a grid with the highest J, chosen with the test labels, as the paper does"
COLUMNS = (
    Column(None, "protocol"),
    Column("", "setting", words=True),
    Column(None, "kind"),
    Column("seeds"),
    Column("threshold", "threshold", words=True),
    Column(None, "n_seeds"),
    Column(None, "seeds"),
    *(Column(heading, name, spread=True, optional=True) for name, heading in HEADINGS.items()),
    Column(None, "commits"),
    Column(None, "commands"),
)


def build(entries: Sequence[Entry], separate: bool = False) -> list[Table]:
    """Make tables of results.

    Args:
        entries: At least one.
        separate: Make one table for each protocol; else several are refused.

    Returns:
        The tables.

    Raises:
        RunError: If protocols would be mixed, or a seed counts twice.
    """
    if not separate:
        require_one_protocol(entries)
    return [_table(group) for group in by_protocol(entries)]


def _table(entries: Sequence[Entry]) -> Table:
    """The table of results of one protocol."""
    title, published = _title(entries[0]), yaml.safe_load(PUBLISHED.read_text())
    baselines = any(entry.results.made_by.settings.method is not None for entry in entries)
    rows, sources, remarks = list[Row](), list[Source](), list[str]()
    for name, group in by_setting(entries).items():
        source = Source(name, tuple(map(_command, group)), _commits(group))
        times = SECONDS if baselines else ()  # a table of trials is the same whenever it is made
        seconds = {column: mean([getattr(entry.results.made_by, column) for entry in group]) for column in times}
        seeds = [entry.seed for entry in group]
        rows += _measured(title, source, [entry.results.numbers for entry in group], seeds, seconds)
        for figure in published:
            if _is_of(figure, group[0]):
                rows += [_published(title, figure)] if "figures" in figure else []
                finding = f"the paper on {name}: {figure.get('finding')} ({figure['table']})"
                remarks += [finding] if "finding" in figure else []
        sources.append(source)
    for name, floor in entries[0].results.floors.items():
        rows += _measured(title, Source(name.replace("_", " "), (), ()), [floor], [], {})
    note = BEST if any(one.cells[2].text == "best" for one in rows) else ""
    return Table(title, COLUMNS, tuple(rows), note, tuple(remarks), tuple(sources))


def _row(
    title: str, source: Source, kind: str, threshold: str, seeds: Sequence[int | None], cells: Mapping[str, Cell]
) -> Row:
    """A line of :data:`COLUMNS`; of the two lines of a setting, the second does not repeat its name in print."""
    return row(
        title,
        Cell("" if kind == "best" else source.name, source.name),
        kind,
        str(len(seeds)) if seeds and kind == "fixed" else "",
        threshold,
        str(len(seeds) or ""),
        " ".join(map(str, seeds)),
        *(cells.get(name, Cell()) for name in HEADINGS),
        " ".join(source.commits),
        "; ".join(source.commands),
    )


def _measured(
    title: str, source: Source, numbers: Sequence[Numbers], seeds: Sequence[int | None], seconds: Mapping[str, Cell]
) -> list[Row]:
    """The line at the fixed threshold and, where there are masks, that at the best of the grid."""
    fixed = {name: mean([one.get(name) for one in numbers]) for name in (*MEASURES, *OFFICIAL, *RANKING)}
    best = {name: mean([one.get(f"best_{name}") for one in numbers]) for name in MEASURES}
    masks = any(one.get("j_mean") is not None for one in numbers)
    rows = [_row(title, source, "fixed", "fixed" if masks else "", seeds, {**fixed, **seconds})]
    levels = [level for one in numbers if (level := one.get("best_threshold")) is not None]
    if masks and len(levels) == len(numbers):
        chosen = f"best: {', '.join(f'{level:.2f}' for level in sorted(set(levels)))}"
        rows.append(_row(title, source, "best", chosen, seeds, best))
    return rows


def _is_of(figure: Mapping[str, Any], entry: Entry) -> bool:
    """Whether a figure of the paper is about a setting or a method, and, where that matters, about this data set."""
    made, settings = entry.results.made_by, entry.results.made_by.settings
    plain = "backdrop" if settings.mode in (None, "separate") else ""
    name = entry.kind if made.setting is not None or settings.method is not None else plain
    return name in figure["of"] and figure.get("only_on", settings.data) == settings.data


def _published(title: str, figure: Mapping[str, Any]) -> Row:
    """The line of a published figure, as printed there; the paper chooses the threshold as ``best`` does."""
    spreads = figure.get("spreads") or {}
    cells = {name: number(value, spreads.get(name)) for name, value in figure["figures"].items()}
    for name, cell in cells.items():
        if round(figure["figures"][name], 2) == figure["figures"][name]:  # two digits are all that the paper gives
            cells[name] = Cell(f"{cell.value:.2f}", cell.value, cell.spread)
    name = f"paper, {figure['table']}: {figure['row']} ({figure['dataset']})"
    return _row(title, Source(name, (), ()), "published", "" if set(cells) == {"hit_rate"} else "best", [], cells)


def _command(entry: Entry) -> str:
    """What was typed to make a result: where that command has only scored it, the trainings too."""
    made = entry.results.made_by
    scored = made.command.startswith((f"{MODULE} evaluate", f"{SCRIPT} evaluate"))
    trained = (made.trained_by or {}) if scored else {}
    return "; ".join(filter(None, (trained.get("inpainter_command"), trained.get("command"), made.command)))


def _commits(group: Sequence[Entry]) -> tuple[str, ...]:
    """The commits that trained a setting, or that measured it where nothing was trained."""
    found: dict[str, None] = {}
    for made in (entry.results.made_by for entry in group):
        models = [*(made.models or {}).values()] or [made]
        trained = [commit for model in models for commit in (model.trained_by or {}).get("commits") or []]
        found |= dict.fromkeys(trained or filter(None, [provenance.named(made.commit, made.dirty)]))
    return tuple(map(provenance.short, found))


def _title(entry: Entry) -> str:
    """What all rows were measured on."""
    protocol, preset = entry.protocol, entry.protocol.data_settings.get("preset")
    parts = [f"{protocol.data}, preset {preset}" if preset else str(protocol.data)]
    parts += [f"{counted(int(protocol.frames or 0), 'frame')} of {counted(len(protocol.clips), 'clip')}"]
    parts += ["masks at {}x{}".format(*protocol.image_size)] if protocol.image_size else []
    parts += [protocol.part] if protocol.part != "whole clips" else []
    parts += [f"up to {protocol.subjects} subjects"] if protocol.subjects > 1 else []
    parts += ["transductive (trained on these frames, never on their masks)"] if protocol.transductive else []
    fixed = f"; fixed threshold {protocol.threshold:.2f}" if protocol.threshold is not None else ""
    return f"{', '.join(parts)}; means over clips, then mean ± standard deviation over seeds{fixed}"
