"""Results of several runs: where they lie, which were measured alike, and which are one setting with several seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from backdrop.errors import RunError
from backdrop.settings import Role, role
from experiments.results.protocol import Protocol, data_arguments
from experiments.results.record import RESULTS, Results, Settings
from experiments.runs.folder import flat
from experiments.runs.settings import own_name

FILE = RESULTS["held_out"]


@dataclass(frozen=True)
class Entry:
    """One file of results, as it stands beside others.

    Attributes:
        path: The file.
        results: Its content.
        name: What the user calls the place that it is from; empty where it has no name.
    """

    path: Path
    results: Results
    name: str = ""

    @property
    def label(self) -> str:
        """What it is called in a table."""
        return f"{self.name}: {self.kind}" if self.name else self.kind

    @property
    def kind(self) -> str:
        """What it is of: the setting of a trial, a baseline's name, or the method and its profile."""
        made, settings = self.results.made_by, self.results.made_by.settings
        if made.setting is not None or settings.method is not None:
            return str(made.setting if made.setting is not None else settings.method)
        mode = f", {settings.mode}" if settings.mode not in (None, "separate") else ""
        return f"Backdrop, {settings.profile}{mode}"

    @cached_property
    def protocol(self) -> Protocol:
        """How it was measured."""
        return Protocol.of(self.results)

    @property
    def seed(self) -> int | None:
        """Seed of the training."""
        return self.results.made_by.seed

    @cached_property
    def decided_by(self) -> dict[str, Any]:
        """What must agree, but for the seed, before two results are one row."""
        made = self.results.made_by
        names = (one.name for one in fields(Settings) if role(Settings, one.name) is Role.TRAINING)
        decided = {name: getattr(made.settings, name) for name in names}
        checkpoint = Path(made.settings.checkpoint).name if made.settings.checkpoint else None
        data = dict(sorted(data_arguments(made, Role.TRAINING).items()))
        return {"label": self.label, "checkpoint": checkpoint, **decided, "data": data}


def read_entries(paths: Sequence[Path], names: Sequence[str] = (), file: str = FILE) -> list[Entry]:
    """Read what ``evaluate``, ``baselines`` and ``sweep`` have written.

    Args:
        paths: Files; run folders, of which the baselines count too; folders of runs, such as a sweep's.
        names: What the user calls each of them, "" where nothing; none at all where nothing is called anything.
        file: Name of the files that are sought in folders.

    Returns:
        The results, each once.

    Raises:
        RunError: If there is none at a path, or it holds no results.
    """
    named = zip(paths, names or [""] * len(paths), strict=True)
    files = {(name, one.resolve()): one for path, name in named for one in _files(path, file)}
    return [Entry(one, Results.read(one), name) for (name, _), one in files.items()]


def _files(path: Path, file: str) -> list[Path]:
    """The result files that a path stands for."""
    if path.is_file():
        return [path]
    own = path / file
    runs = [own] if own.is_file() else sorted(path.glob(f"*/{file}"))
    found = [*runs, *sorted(path.glob(f"baselines/*/{file}"))]
    if not found:
        there = f"{path} holds no {file}" if path.is_dir() else f"There is nothing at {path}"
        raise RunError(f"{there}: give files or folders that evaluate, baselines or sweep have written.")
    return found


def by_protocol(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Group results that were measured in the same way, each with every other of its group, in order of appearance."""
    groups: list[list[Entry]] = []
    for entry in entries:
        for group in groups:
            if not any(other.protocol.differences(entry.protocol) for other in group):
                group.append(entry)
                break
        else:
            groups.append([entry])
    return groups


def require_one_protocol(entries: Sequence[Entry]) -> None:
    """Refuse results that one table would compare wrongly.

    Raises:
        RunError: If their protocols differ; it says in what.
    """
    for first, other in combinations(entries, 2):
        if found := first.protocol.differences(other.protocol):
            raise RunError(
                f"{first.path} and {other.path} were measured in different ways, which one table must not mix: "
                f"{'; '.join(found[:3])}; leave one out, or ask for a table of each with --separate."
            )


def by_setting(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Group results that differ in their seed only.

    Args:
        entries: Of one protocol.

    Returns:
        By name, in order of appearance, each ordered by seed; where two settings have the same label, what differs is
        added to it.

    Raises:
        RunError: If two results of a setting have the same seed.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(json.dumps(entry.decided_by, sort_keys=True), []).append(entry)
    for group in groups.values():
        group.sort(key=lambda entry: entry.seed or 0)
        for one, other in pairwise(group):
            if one.seed == other.seed:
                raise RunError(
                    f"{one.path} and {other.path} are the same setting with the same seed, {one.seed}: leave one of "
                    "them out, or name them apart with NAME=PATH."
                )
    return dict(zip(_names([group[0] for group in groups.values()]), groups.values(), strict=True))


def _names(firsts: Sequence[Entry]) -> list[str]:
    """A name for each setting that tells it from the others."""
    names: list[str] = []
    for entry in firsts:
        alike = [dict(flat(other.decided_by)) for other in firsts if other.label == entry.label]
        own = {
            own_name(name): value
            for name, value in flat(entry.decided_by)
            if all(name in other for other in alike) and any(other[name] != value for other in alike)
        }
        different = ", ".join(f"{name}={value}" for name, value in own.items())
        name = f"{entry.label} ({different})" if different else entry.label
        names.append(f"{name} #{names.count(name) + 1}" if name in names else name)
    return names
