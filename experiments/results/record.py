"""Results of runs: where they lie, how they were measured, and which are one setting with several seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from experiments.commands.evaluate import COLUMNS, RESULTS
from experiments.errors import RunError, one_line
from experiments.runs.folder import flat

FILE = RESULTS["held_out"]

# Settings of the data that say where it lies and how it is read, and nothing of what is learnt or scored.
OF_THE_PLACE = {"root", "num_workers", "store_dir", "store_limit_gb", "store_codec", "cache_dir"}
# Those that say how a model is trained on it, not what it is scored on: they decide the row, not the table.
OF_THE_TRAINING = {
    "scale", "batch_size", "augment", "device_augment", "min_frames", "plates", "plate_evidence", "clips",
    "train_clips", "val_clips", "val_share",
}  # fmt: skip
OF_THE_PART = {"held_out", "evaluated_part"}
DECIDING = (
    "method", "method_settings", "profile", "scale", "mode", "model_settings", "steps", "inpainter_steps",
    "training_precision", "trainer_settings",
)  # fmt: skip
DEFAULT_THRESHOLDS = [round(0.05 * step, 6) for step in range(1, 20)]
"""Of results that were written before they said so."""


@dataclass(frozen=True)
class Result:
    """What a ``results.json`` holds.

    Attributes:
        path: The file.
        numbers: Its content.
        name: What the user calls the place that it is from; empty where it has no name.
    """

    path: Path
    numbers: Mapping[str, Any]
    name: str = ""

    @property
    def made(self) -> Mapping[str, Any]:
        """What made the numbers."""
        made: Mapping[str, Any] = self.numbers["made_by"]
        return made

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that made them."""
        settings: Mapping[str, Any] = self.made["settings"]
        return settings

    @property
    def label(self) -> str:
        """What it is called in a table."""
        return f"{self.name}: {self.kind}" if self.name else self.kind

    @property
    def kind(self) -> str:
        """What it is of: the setting of a trial, a baseline's name, or the method and its profile."""
        if "setting" in self.made:
            return str(self.made["setting"])
        if self.settings.get("method") is not None:
            return str(self.settings["method"])
        mode = self.settings.get("mode")
        return f"Backdrop, {self.settings.get('profile')}" + (f", {mode}" if mode not in (None, "separate") else "")

    def data(self) -> Mapping[str, Any]:
        """Settings of the data module; of one result of several models, those of the first."""
        settings = self.settings
        if "data_settings" not in settings and self.made.get("models"):
            settings = next(iter(self.made["models"].values()))["settings"]
        found: Mapping[str, Any] = (settings.get("data_settings") or {}).get("init_args") or {}
        return found

    def protocol(self) -> dict[str, Any]:
        """What must agree before two results may stand in one table, by name."""
        data = self.data()
        cut = data.get("held_out") or 0
        left_out = {"image_size"} | OF_THE_PLACE | OF_THE_TRAINING | OF_THE_PART
        protocol = {
            "data set": self.settings.get("data"),
            "fixed threshold": self.settings.get("threshold", 0.5),
            "thresholds of the best": self.settings.get("thresholds", DEFAULT_THRESHOLDS),
            "part": f"{data.get('evaluated_part', 'held_out')} at {cut}" if cut else "whole clips",
            "clips": sorted(self.numbers.get("clips") or {}),
            "scored frames": self.numbers.get("frames"),
            "image size": data.get("image_size"),
            "subjects": self.settings.get("subjects") or 1,
        } | {name: value for name, value in data.items() if name not in left_out}
        transductive = self.settings.get("transductive")  # nothing is known of it where nothing is trained
        return protocol if transductive is None else protocol | {"transductive": transductive}

    def decided_by(self) -> dict[str, Any]:
        """What must agree, but for the seed, before two results are one row."""
        decided = {name: self.settings.get(name) for name in DECIDING}
        checkpoint = self.settings.get("checkpoint")
        used = Path(checkpoint).name if checkpoint else None
        data = {name: value for name, value in sorted(self.data().items()) if name in OF_THE_TRAINING}
        return {"label": self.label, "checkpoint": used, **decided, "data": data}


def read_results(paths: Sequence[Path], names: Sequence[str] = ()) -> list[Result]:
    """Read what ``evaluate``, ``davis``, ``baselines`` and ``sweep`` have written.

    Args:
        paths: Files; run folders, of which the baselines count too; folders of runs, such as a sweep's.
        names: What the user calls each of them, "" where nothing; none at all where nothing is called anything.

    Returns:
        The results, each once.

    Raises:
        RunError: If there is none at a path, or it is no result.
    """
    named = zip(paths, names or [""] * len(paths), strict=True)
    files = {(name, file.resolve()): file for path, name in named for file in _files(path)}
    return [replace(_read(file), name=name) for (name, _), file in files.items()]


def _files(path: Path) -> list[Path]:
    """The result files that a path stands for."""
    if path.is_file():
        return [path]
    own = path / FILE
    runs = [own] if own.is_file() else sorted(path.glob(f"*/{FILE}"))
    found = [*runs, *sorted(path.glob(f"baselines/*/{FILE}"))]
    if not found:
        there = f"{path} holds no {FILE}" if path.is_dir() else f"There is nothing at {path}"
        raise RunError(f"{there}: give files or folders that evaluate, davis, baselines or sweep have written.")
    return found


def _read(path: Path) -> Result:
    try:
        result = Result(path, load_results(path))
        result.settings["data"], result.numbers["clips"]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            f"{path} is no result of evaluate, davis, baselines or sweep ({one_line(error)}): leave it out, or delete "
            "it."
        ) from error
    return result


def load_results(path: Path) -> dict[str, Any]:
    """Read one file of results.

    Args:
        path: ``results.json``.

    Returns:
        Its content; None stands for numbers that do not exist.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no JSON, holds no scores, or what should have parts has none.
    """
    results = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(results, dict) or not any(isinstance(results.get(name), float | int) for name in COLUMNS):
        raise ValueError("it holds no scores")
    made = results.get("made_by") or {}
    parts = [made, *(made.get(name) or {} for name in ("settings", "models", "trained_by") if isinstance(made, dict))]
    for name in ("clips", "floors"):
        whole = results.get(name) or {}
        parts += [whole, *(whole.values() if isinstance(whole, dict) else ())]
    if not all(isinstance(part, dict) for part in parts):
        raise ValueError("its parts are not those of results")
    return results


def by_protocol(results: Sequence[Result]) -> list[list[Result]]:
    """Group results that were measured in the same way, each with every other of its group, in order of appearance."""
    groups: list[list[Result]] = []
    for result in results:
        for group in groups:
            if not any(differing(other, result) for other in group):
                group.append(result)
                break
        else:
            groups.append([result])
    return groups


def differing(one: Result, other: Result) -> list[str]:
    """Names of what differs between the protocols of two results; what only one of them knows of differs in nothing."""
    first, second = one.protocol(), other.protocol()
    return [name for name in first if name in second and first[name] != second[name]]


def require_one_protocol(results: Sequence[Result]) -> None:
    """Refuse results that one table would compare wrongly.

    Raises:
        RunError: If their protocols differ; it says in what.
    """
    for first, other in combinations(results, 2):
        if names := differing(first, other):
            before, after = first.protocol(), other.protocol()
            said = "; ".join(_difference(name, before[name], after[name]) for name in names[:3])
            raise RunError(
                f"{first.path} and {other.path} were measured in different ways, which one table must not mix: {said}; "
                "leave one out, or ask for a table of each with --separate."
            )


def _difference(name: str, before: Any, after: Any) -> str:  # noqa: ANN401  settings of any type
    """Two values of a part of the protocol in a message."""
    if name == "clips":
        lost, new = sorted(set(before) - set(after)), sorted(set(after) - set(before))
        parts = [f"{', '.join(few[:3])} {'…' if len(few) > 3 else ''}".strip() for few in (lost, new)]
        return f"clips of the first only: {parts[0] or 'none'}, of the second only: {parts[1] or 'none'}"
    return f"{name} {before} and {after}"


def by_setting(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Group results that differ in their seed only.

    Args:
        results: Of one protocol.

    Returns:
        By name, in order of appearance, each ordered by seed; where two settings have the same label, what differs is
        added to it.

    Raises:
        RunError: If two results of a setting have the same seed.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(json.dumps(result.decided_by(), sort_keys=True), []).append(result)
    for group in groups.values():
        group.sort(key=lambda result: result.made.get("seed") or 0)
        for one, other in pairwise(group):
            if one.made.get("seed") == other.made.get("seed"):
                raise RunError(
                    f"{one.path} and {other.path} are the same setting with the same seed, {one.made.get('seed')}: "
                    "leave one of them out, or tell them apart with NAME=PATH."
                )
    return dict(zip(_names([group[0] for group in groups.values()]), groups.values(), strict=True))


def _names(firsts: Sequence[Result]) -> list[str]:
    """A name for each setting that tells it from the others."""
    names: list[str] = []
    for result in firsts:
        alike = [dict(flat(other.decided_by())) for other in firsts if other.label == result.label]
        own = {
            name.split(".")[-1]: value
            for name, value in flat(result.decided_by())
            if all(name in other for other in alike) and any(other[name] != value for other in alike)
        }
        told = ", ".join(f"{name}={value}" for name, value in own.items())
        name = f"{result.label} ({told})" if told else result.label
        names.append(f"{name} #{names.count(name) + 1}" if name in names else name)
    return names
