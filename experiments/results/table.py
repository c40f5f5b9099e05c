"""Tables of results: mean and spread over seeds, the paper's figures beside them, and what made each row."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from datamodules.clips.problems import counted
from experiments.commands.evaluate import COLUMNS, TITLES
from experiments.results.record import Result, by_protocol, by_setting, require_one_protocol
from experiments.results.timing import SECONDS
from experiments.runs import provenance

PUBLISHED = Path(__file__).parent / "published.yaml"
Kind = Literal["fixed", "best", "published"]
HEADINGS = {**TITLES, "average_precision": "AP", **SECONDS}


@dataclass(frozen=True)
class Number:
    """A mean over seeds.

    Attributes:
        mean: The mean.
        spread: Standard deviation (of a sample, n - 1); None of a single seed.
    """

    mean: float
    spread: float | None = None

    @classmethod
    def of(cls, values: Sequence[Any]) -> Number | None:
        """The mean of what there is; None where a value is missing."""
        if not values or any(value is None for value in values):
            return None
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: Setting, or where the paper's figures are.
        kind: Measured at the fixed threshold, at the best of the grid, or published.
        seeds: Seeds of the mean.
        threshold: In words.
        numbers: By column.
    """

    name: str
    kind: Kind
    seeds: tuple[Any, ...]
    threshold: str
    numbers: Mapping[str, Number | None]


@dataclass(frozen=True)
class Source:
    """What made the rows of a setting.

    Attributes:
        setting: Its name.
        commands: The command of each seed.
        commits: Commits of the source that trained it, abbreviated.
    """

    setting: str
    commands: tuple[str, ...]
    commits: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of results of one protocol.

    Attributes:
        title: What was measured on what.
        columns: Keys of the numbers that any row has, in order.
        rows: The lines, those of a setting one after the other.
        sources: What made them.
        findings: What the paper says where it gives no figure.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    sources: tuple[Source, ...]
    findings: tuple[str, ...] = field(default=())


def build(results: Sequence[Result], separate: bool = False) -> list[Table]:
    """Make tables of results.

    Args:
        results: At least one.
        separate: Make one table for each protocol; else several are refused.

    Returns:
        The tables.

    Raises:
        RunError: If protocols would be mixed, or a seed counts twice.
    """
    if not separate:
        require_one_protocol(results)
    return [_table(group) for group in by_protocol(results)]


def _table(results: Sequence[Result]) -> Table:
    """The table of results of one protocol."""
    entries = yaml.safe_load(PUBLISHED.read_text())
    timed = SECONDS if any(result.settings.get("method") is not None for result in results) else {}  # beside baselines
    rows, sources, findings = list[Row](), list[Source](), list[str]()
    for name, group in by_setting(results).items():
        seeds = tuple(result.made.get("seed") for result in group)
        seconds = {column: Number.of([result.made.get(column) for result in group]) for column in timed}
        rows += _measured(name, seeds, [result.numbers for result in group], seconds)
        for entry in entries:
            if _is_of(entry, group[0]):
                rows += [_published(entry)] if "figures" in entry else []
                findings += [f"{name}: {entry['finding']} ({entry['table']})"] if "finding" in entry else []
        commands = tuple(_command(result) for result in group)
        sources.append(Source(name, commands, _commits(group)))
    for name, floor in (results[0].numbers.get("floors") or {}).items():
        rows += _measured(name.replace("_", " "), (), [floor], {})
    columns = tuple(column for column in HEADINGS if any(row.numbers.get(column) is not None for row in rows))
    return Table(_title(results[0]), columns, tuple(rows), tuple(sources), tuple(findings))


def _measured(
    name: str, seeds: tuple[Any, ...], numbers: Sequence[Mapping[str, Any]], seconds: Mapping[str, Number | None]
) -> list[Row]:
    """The line at the fixed threshold and, where there are masks, that at the best of the grid."""
    fixed = {column: Number.of([one.get(column) for one in numbers]) for column in (*COLUMNS, "average_precision")}
    best = {column: Number.of([one.get(f"best_{column}") for one in numbers]) for column in COLUMNS}
    masks = any(one.get("j_mean") is not None for one in numbers)
    rows = [Row(name, "fixed", seeds, "fixed" if masks else "", {**fixed, **seconds})]
    if masks and all(one.get("best_threshold") is not None for one in numbers):
        chosen = sorted({one["best_threshold"] for one in numbers})
        rows.append(Row(name, "best", seeds, f"best: {', '.join(f'{level:.2f}' for level in chosen)}", best))
    return rows


def _is_of(entry: Mapping[str, Any], result: Result) -> bool:
    """Whether an entry of the paper is about a setting or a method, and, where that matters, about this data set."""
    trial = "setting" in result.made
    baseline = result.settings.get("method") is not None
    plain = "backdrop" if result.settings.get("mode") in (None, "separate") else ""
    name = result.kind if trial or baseline else plain
    return name in entry["of"] and entry.get("only_on", result.settings.get("data")) == result.settings.get("data")


def _published(entry: Mapping[str, Any]) -> Row:
    """The line of a published figure; the paper chooses the threshold as ``best`` does."""
    spreads = entry.get("spreads") or {}
    figures = {name: Number(value, spreads.get(name)) for name, value in entry["figures"].items()}
    threshold = "" if set(figures) == {"hit_rate"} else "best"
    return Row(f"paper, {entry['table']}: {entry['row']} ({entry['dataset']})", "published", (), threshold, figures)


def _command(result: Result) -> str:
    """What was typed to make a result: where that command has only scored it, the trainings too."""
    trained, command = result.made.get("trained_by") or {}, str(result.made.get("command"))
    scored = command.startswith("python -m experiments evaluate")
    trainings = [trained.get("inpainter_command"), trained.get("command")] if scored else []
    return "; ".join(str(one) for one in (*trainings, command) if one)


def _commits(group: Sequence[Result]) -> tuple[str, ...]:
    """The commits that trained a setting, or that measured it where nothing was trained."""
    found: dict[str, None] = {}
    for result in group:
        models = [*(result.made.get("models") or {}).values()] or [result.made]
        trained = [commit for model in models for commit in (model.get("trained_by") or {}).get("commits") or []]
        found |= dict.fromkeys(trained or filter(None, [provenance.named(result.made)]))
    return tuple(map(provenance.short, found))


def _title(result: Result) -> str:
    """What all rows were measured on."""
    numbers, data, protocol = result.numbers, result.data(), result.protocol()
    preset = f", preset {data['preset']}" if data.get("preset") else ""
    frames = f"{counted(numbers['frames'], 'frame')} of {counted(len(numbers['clips']), 'clip')}"
    parts = [f"{result.settings.get('data')}{preset}", frames]
    if protocol["image size"]:
        parts.append("masks at {}x{}".format(*protocol["image size"]))
    parts += [str(protocol["part"])] if protocol["part"] != "whole clips" else []
    parts += [f"up to {protocol['subjects']} subjects"] if protocol["subjects"] > 1 else []
    parts += ["transductive (trained on these frames, never on their masks)"] if protocol.get("transductive") else []
    fixed = f"fixed threshold {protocol['fixed threshold']:.2f}"
    return f"{', '.join(parts)}; means over clips, then mean ± standard deviation over seeds; {fixed}"
