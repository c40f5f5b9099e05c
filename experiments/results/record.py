"""The results record: everything that a ``results.json`` holds, which reads, checks and writes itself."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from backdrop.documents import read_json
from backdrop.errors import RunError, one_line
from backdrop.files import write_text
from backdrop.settings import Measurement, Place
from experiments.results.measures import HEADINGS, MEASURES, RANKING

Part = Literal["held_out", "trained"]
RESULTS: dict[Part, str] = {"held_out": "results.json", "trained": "results_trained.json"}
"""The file of the results, by the part that was evaluated."""

Numbers = Mapping[str, float | None]
"""Measures by name; None where there is no such number, as the hit rate of a clip without a subject."""

Kind = TypeVar("Kind")
_COUNTED = ("frames", "masks", "threshold")
_OPTIONAL = ("subjects", "risk_coverage")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that made numbers.

    Attributes:
        data: Name of the data set.
        profile: Size profile; ``baseline`` of another method.
        scale: Working size over evaluation size.
        mode: Who reaches the detector: ``separate``, ``joint``, ...; None of another method.
        method: Name of a baseline.
        method_settings: Its arguments.
        data_settings: Class and arguments of the data module; of several models each has its own.
        model_settings: Arguments of the model.
        checkpoint: Path of the checkpoint.
        checkpoint_sha256: Its check sum.
        steps: How long stage 2 was trained.
        inpainter_steps: How long stage 1 was trained.
        trainer_settings: Settings of the trainer that change what is learnt.
        training_precision: Precision of the training.
        evaluation_precision: Precision of the evaluation.
        subjects: Most subjects that were looked for in a frame.
        transductive: Whether clips are tested on that were trained on, without their masks.
        threshold: The fixed threshold.
        thresholds: Those among which the best was sought.
        protocol: ``davis`` where the figures are those of DAVIS, see :mod:`experiments.results.official`.
    """

    data: Measurement[str | None]
    profile: str | None
    scale: float | None
    mode: str | None
    method: str | None = None
    method_settings: Mapping[str, Any] | None = None
    data_settings: Measurement[Mapping[str, Any] | None] = None
    model_settings: Mapping[str, Any] | None = None
    checkpoint: Place[str | None] = None
    checkpoint_sha256: Place[str | None] = None
    steps: int | None = None
    inpainter_steps: int | None = None
    trainer_settings: Mapping[str, Any] | None = None
    training_precision: str | int | None = None
    evaluation_precision: Measurement[str | None] = None
    subjects: Measurement[int | None] = None
    transductive: Measurement[bool | None] = None
    threshold: Measurement[float | None] = None
    thresholds: Measurement[list[float] | None] = None
    protocol: Measurement[str | None] = None


@dataclass(frozen=True, kw_only=True)
class MadeBy:
    """What made numbers.

    Attributes:
        setting: Name of the trial or the ablation.
        command: What was typed to measure them.
        commit: Commit of the measurement; None outside a repository.
        dirty: Whether tracked files differed from it.
        trained_by: Commits and commands of the training.
        date: Of the measurement.
        seed: Of the training.
        settings: See :class:`Settings`.
        versions: Of the libraries.
        labels_used: What labels were used for, in words.
        cues_agree: Share of the frames to train on whose cues agree, in [0, 1], where targets were made.
        target_features: What gave the features of these targets, by name.
        seconds_per_frame: How long an answer takes.
        processor_seconds_per_frame: The same in time of the processor.
        timed_on: The device that was timed.
        models: Where several models made one result, what made the numbers of each, by clip.
    """

    setting: str | None = None
    command: str
    commit: str | None
    dirty: bool | None
    trained_by: Mapping[str, Any] | None = None
    date: str | None = None
    seed: int | None
    settings: Settings
    versions: Mapping[str, str] | None = None
    labels_used: str | None = None
    cues_agree: float | None = None
    target_features: str | None = None
    seconds_per_frame: float | None = None
    processor_seconds_per_frame: float | None = None
    timed_on: str | None = None
    models: Mapping[str, MadeBy] | None = None

    @property
    def data(self) -> Mapping[str, Any]:
        """Class and arguments of the data module; of several models those of the first."""
        settings = [self.settings, *(model.settings for model in (self.models or {}).values())]
        return next((one.data_settings for one in settings if one.data_settings), {})


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a ``results.json`` holds.

    Attributes:
        numbers: The measures, means over clips, and ``frames`` and ``masks``, which count.
        clips: The measures of each clip.
        floors: The measures of predictions that look at nothing.
        subjects: Measures of several subjects, one by one, and those of each of its ``clips``.
        risk_coverage: Of frames with a score, the risk (1 - J) among the share of them whose score is highest, by that
            share.
        made_by: What made them.
    """

    numbers: Numbers
    clips: Mapping[str, Numbers]
    floors: Mapping[str, Numbers]
    subjects: Mapping[str, Any] | None = None
    risk_coverage: Numbers | None = None
    made_by: MadeBy

    @classmethod
    def of(cls, measured: Mapping[str, Any], made_by: MadeBy) -> Results:
        """The record of what was measured.

        Args:
            measured: ``results`` of :class:`callbacks.MaskMetrics`, not empty.
            made_by: What made it.
        """
        return cls(**_split(_plain(measured)), made_by=made_by)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a file.

        Args:
            path: ``results.json``.

        Raises:
            OSError: If it cannot be read.
            ValueError: If it is no such file; it says why.
        """
        content = read_json(path)
        if not isinstance(content, dict) or not any(isinstance(content.get(name), float | int) for name in MEASURES):
            raise ValueError("it holds no scores")
        found = _typed(cls, _split(content), "")
        parts = {"": found.numbers, **{f"clips.{name}.": numbers for name, numbers in found.clips.items()}}
        for where, numbers in (parts | {f"floors.{name}.": one for name, one in found.floors.items()}).items():
            _require_measures(numbers, where)
        return found

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read a file, as :meth:`load` does.

        Args:
            path: ``results.json``.

        Raises:
            RunError: If it cannot be read, or is no such file; it says why.
        """
        try:
            return cls.load(path)
        except (OSError, ValueError) as error:
            what = f"{path} cannot be read as results of this version ({one_line(error)})"
            raise RunError(f"{what}: delete it, and the command that made it makes it anew.") from error

    def write(self, path: Path) -> None:
        """Write a file, whole or not at all.

        Args:
            path: ``results.json``.
        """
        more = {name: value for name in _OPTIONAL if (value := getattr(self, name)) is not None}
        whole = {**self.numbers, "clips": self.clips, "floors": self.floors, **more, "made_by": _known(self.made_by)}
        write_text(path, json.dumps(whole, indent=2, allow_nan=False) + "\n")


def _require_measures(numbers: Numbers, where: str) -> None:
    """Refuse a measure that is not known, and a share that is none.

    Raises:
        ValueError: If there is one.
    """
    for name, value in numbers.items():
        measure = name.removeprefix("best_")
        if measure not in (*HEADINGS, *_COUNTED):
            raise ValueError(f"{where}{name} is not known")
        if measure in (*MEASURES, *RANKING, "threshold") and value is not None and not 0 <= value <= 1:
            raise ValueError(f"{where}{name} is {value}, expected a share")


def _split(content: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a record, of which the file holds the numbers beside the others."""
    parts = {name: content[name] for name in ("clips", "floors", *_OPTIONAL, "made_by") if name in content}
    return {"numbers": {name: value for name, value in content.items() if name not in parts}, **parts}


def _plain(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Numbers that do not exist (the hit rate of a clip without subject) as None, null in JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _known(record: Any) -> Any:  # noqa: ANN401  any part of a record
    """A part of a record as JSON holds it: fields that may be left out and are None are left out."""
    if isinstance(record, Mapping):
        return {name: _known(value) for name, value in record.items()}
    if not dataclasses.is_dataclass(record):
        return record
    values = ((one, getattr(record, one.name)) for one in fields(record))
    return {one.name: _known(value) for one, value in values if value is not None or one.default is MISSING}


def _typed(kind: type[Kind], content: Any, where: str) -> Kind:  # noqa: ANN401  any JSON value
    """Make a record of JSON.

    Raises:
        ValueError: If a field is missing or not known, or a value is of another type.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"{where.rstrip('.')} holds no fields")
    hints, values = get_type_hints(kind), {}
    if unknown := [name for name in content if name not in hints]:
        raise ValueError(f"{where}{unknown[0]} is not known")
    for one in fields(kind):  # type: ignore[arg-type]  # mypy knows no type that is a dataclass
        if one.name in content:
            values[one.name] = _value(hints[one.name], content[one.name], f"{where}{one.name}")
        elif one.default is MISSING:
            raise ValueError(f"{where}{one.name} is missing")
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401  any JSON value
    """A value of a field, of the type that is declared for it."""
    inner = get_args(hint)
    if get_origin(hint) is types.UnionType:
        if value is None and types.NoneType in inner:
            return None
        kinds = [kind for kind in inner if kind is not types.NoneType]
        fitting = [kind for kind in kinds if isinstance(kind, type) and isinstance(value, kind)]
        return _value((fitting or kinds)[0], value, where)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _typed(hint, value, f"{where}.")
    if hint is Any:
        return value
    if get_origin(hint) is Mapping:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} holds no fields")
        return {name: _value(inner[1], item, f"{where}.{name}") for name, item in value.items()}
    if get_origin(hint) is list:
        if not isinstance(value, list):
            raise ValueError(f"{where} is no list")
        return [_value(inner[0], item, where) for item in value]
    if not isinstance(value, (int, float) if hint is float else hint) or isinstance(value, bool) != (hint is bool):
        raise ValueError(f"{where} is {value!r}, expected {_WORDS[hint]}")
    return value


_WORDS = {str: "text", float: "a number", int: "a whole number", bool: "true or false", types.NoneType: "null"}
