"""The run folder: where things lie in it, and how far a stage in it has come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import torch

from backdrop.documents import read_json, read_yaml, require_whole_archive
from backdrop.errors import RunError, one_line, warn
from backdrop.outputs import CONFIG
from backdrop.settings import Role, argument_defaults, argument_types, import_class
from backdrop.trusted import untrusted
from datamodules.clips.splits import SPLITS, Split
from experiments.runs.settings import LIMITS, RunSettings, role

Saved = TypeVar("Saved")

PARTS = ("run", "model", "data", "trainer")
"""Parts of a config that have parts of their own."""

BUILT = ("model", "data")
"""Those of which later commands build something."""

FOOTAGE = "data.init_args.root"
"""Of the place, but another folder is other footage: a run goes on with its own only."""

LAST, FORMER = "last.ckpt", "former.ckpt"
"""The newest checkpoint, and the one before it."""

INPAINTER_CHANGED = "run.inpainter_sha256: another inpainter"
"""Stage 2 was trained over another stage-1 checkpoint, as :func:`differences` puts it: check sums say nothing."""


@dataclass(frozen=True)
class Progress:
    """How far a stage has come.

    Attributes:
        step: Optimiser steps done.
        epoch: Epochs completed.
        validation_due: Whether the validation of this step was cut off, and is made anew on resuming.
    """

    step: int
    epoch: int
    validation_due: bool = False

    def reached(self, limits: Mapping[str, Any]) -> bool:
        """Whether the trainer settings ``max_steps`` or ``max_epochs`` leave nothing to do."""
        steps, epochs = (limits.get(name) or -1 for name in LIMITS)
        return 0 < steps <= self.step or 0 < epochs <= self.epoch


@dataclass(frozen=True)
class StageFolder:
    """One stage of a run: ``RUN/inpaint`` or ``RUN/segment``.

    ::

        RUN/inpaint/config_fit.yaml              the whole merged config
                    checkpoints/last.ckpt        for resuming, and what stage 2 and the evaluation use
                    checkpoints/former.ckpt      the one before it, where the last one should be damaged
                    checkpoints/best.ckpt        smallest val/loss, a quantity without labels
                    csv/metrics.csv              every logged number
                    wandb/                       the same for W&B
                    images/                      picture sheets
                    clips.json                   the clips of each split, which later commands use too
                    trust.json                   how far the targets are to be trusted, where it has learnt from targets
                    score.json                   what the score is worth, where it could be calibrated

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def config_file(self) -> Path:
        """The merged config of the training."""
        return self.path / CONFIG

    @property
    def clips_file(self) -> Path:
        """Names of the clips of each split, as they were when the training began."""
        return self.path / "clips.json"

    def clips(self) -> dict[Split, list[str]] | None:
        """Names of the clips of each split of the training; None where they were not written down.

        Raises:
            RunError: If the file of it is damaged.
        """
        return _saved(
            self.clips_file,
            _splits,
            "delete it, and the splits are those that the data set has now",
        )

    @property
    def trust_file(self) -> Path:
        """How far the targets are to be trusted."""
        return self.path / "trust.json"

    def trust(self) -> tuple[float, str] | None:
        """The share of the training's frames whose cues agree, and what gave the features of the targets.

        Returns:
            None where it has not learnt from targets.

        Raises:
            RunError: If the file of it is damaged.
        """
        return _saved(
            self.trust_file,
            _trust,
            "delete it; only the trust in the masks is lost",
        )

    @property
    def score_file(self) -> Path:
        """What the score of its checkpoints is worth, see :mod:`experiments.calibration`."""
        return self.path / "score.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.checkpoints / LAST

    def mend(self) -> str | None:
        """Put the former checkpoint in the place of the last one, where that is damaged or missing.

        Returns:
            A sentence on it; None where there was nothing to mend.

        Raises:
            RunError: If the last one is damaged, and the former one too or missing.
        """
        former = self.checkpoints / FORMER
        if not former.is_file():
            if self.last.is_file():
                require_whole(self.last)
            return None
        what = "damaged" if self.last.is_file() else "missing"
        with suppress(RunError):
            require_whole(self.last)
            return None
        require_whole(former)
        os.replace(former, self.last)
        return f"{self.last} is {what}: the training goes on from the checkpoint before it, {FORMER}."

    @property
    def images(self) -> Path:
        """The folder of the picture sheets."""
        return self.path / "images"

    def config(self) -> dict[str, Any]:
        """The saved config.

        Raises:
            RunError: If there is none, if it is not readable, or if it names a class of somebody else.
        """
        if not self.config_file.is_file():
            raise RunError(f"{self.config_file} is missing: {self.path} holds no trained stage.")
        try:
            loaded = read_yaml(self.config_file)
        except ValueError as error:
            what = f"{self.config_file} is no valid YAML ({one_line(error)})"
            raise RunError(f"{what}: delete {self.path} and train again.") from error
        parts = [loaded.get(name) or {} for name in PARTS] if isinstance(loaded, dict) else [None]
        if not all(isinstance(part, dict) for part in parts):
            raise RunError(f"{self.config_file} is empty or damaged: delete {self.path} and train again.")
        if foreign := untrusted([loaded.get(name) for name in BUILT]):
            raise RunError(f"{self.config_file} {foreign}.")
        config: dict[str, Any] = loaded
        return config

    def require_this_version(self) -> dict[str, Any]:
        """The saved config, where this version knows all of it; a setting that it does not say takes its default.

        Which ones do is said.

        Raises:
            RunError: If this version does not know its model, or a setting of it, or one without a default is missing.
        """
        config = self.config()
        absent: dict[str, Any] = {}
        classes = {part: (config.get(part) or {}).get("class_path") for part in ("model", "data")}
        for part, path in (classes | {"run": f"{RunSettings.__module__}.{RunSettings.__name__}"}).items():
            described = config.get(part) or {}
            given, kind = described if part == "run" else described.get("init_args") or {}, import_class(str(path))
            known = {} if kind is None else argument_types(kind)
            unknown = [path] if kind is None else [f"{part}.{name}" for name in given if name not in known]
            missing = [name for name in known if name not in given]
            default = argument_defaults(kind) if kind is not None and missing else {}
            needed = [f"{part}.{name}" for name in missing if name not in default]
            if unknown or needed:
                what = f"this one does not know {unknown[0]}" if unknown else f"it does not say {needed[0]}"
                raise RunError(
                    f"{self.config_file} is of another version, or damaged ({what}): train again in another folder, or "
                    "take the version that trained it."
                )
            found = {name: default[name] for name in missing}
            absent |= {f"{part}.{name}": value for name, value in found.items()}
            whole = {**given, **found}
            config = {**config, part: whole if part == "run" else {**described, "init_args": whole}}
        if absent:
            taken = ", ".join(f"{name}: {value}" for name, value in absent.items())
            what = f"{self.config_file} is of another version, or damaged: what it does not say takes its default"
            _warn_once(f"{what} ({taken}).")
        return config

    def progress(self) -> Progress | None:
        """How far the stage has come; None where there is no checkpoint yet.

        Raises:
            RunError: If the checkpoint cannot be read.
        """
        if not self.last.is_file():
            return None
        checkpoint = load_checkpoint(self.last)
        try:
            loops = checkpoint["loops"]["fit_loop"]
            epochs = loops["epoch_progress"]["current"]["completed"]
            validation = loops["epoch_loop.val_loop.batch_progress"]["total"]
        except KeyError:
            return Progress(int(checkpoint["global_step"]), int(checkpoint.get("epoch", 0)))
        return Progress(int(checkpoint["global_step"]), int(epochs), validation["started"] > validation["processed"])

    def unfinished(self) -> str | None:
        """How far the training is where it has not come to its end, in words; None where it has, or knows no end.

        Raises:
            RunError: If its checkpoint or its config cannot be read.
        """
        progress, limits = self.progress(), self.config().get("trainer") or {}
        if progress is None:
            return "it has no checkpoint"
        if limits.get("max_time") or progress.reached(limits):
            return None
        steps, epochs = (limits.get(name) or -1 for name in LIMITS)
        if steps > 0:
            return f"step {progress.step} of {steps}"
        return f"epoch {progress.epoch} of {epochs}" if epochs > 0 else None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code from it.

    Args:
        path: The file.

    Returns:
        Its content; tensors stay on disk until they are used.

    Raises:
        RunError: If the file is missing, damaged or no Lightning checkpoint, or if it names a class of somebody else.
    """
    if not path.is_file():
        raise RunError(f"{path} is missing.")
    try:
        checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:
        raise RunError(_damaged(path, type(error).__name__)) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint or "global_step" not in checkpoint:
        raise RunError(f"{path} is no Lightning checkpoint.")
    if foreign := untrusted(checkpoint.get("hyper_parameters")):
        raise RunError(f"{path} {foreign}.")
    return checkpoint


def require_whole(path: Path) -> dict[str, Any]:
    """Read all of a checkpoint, and compare its check sums.

    Args:
        path: The file.

    Returns:
        Its content; see :func:`load_checkpoint`.

    Raises:
        RunError: If the file is missing, damaged or no Lightning checkpoint.
    """
    found = load_checkpoint(path)
    try:
        require_whole_archive(path)
    except ValueError as error:
        raise RunError(_damaged(path, str(error))) from error
    return found


def _damaged(path: Path, why: str) -> str:
    """What to do about a damaged checkpoint, in one sentence."""
    goes_on = path.name == LAST and path.with_name(FORMER).is_file()
    remedy = f"give the command of its training again, which goes on from {FORMER}" if goes_on else ""
    return f"{path} cannot be read as a checkpoint ({why}): {remedy or 'delete it and train again'}."


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Settings that differ between a saved config and a new one and change what is learnt.

    Args:
        old: The saved config.
        new: The config of this call.

    Returns:
        One ``name: old -> new`` per difference, sorted.
    """
    before, after = dict(_learnt(old)), dict(_learnt(new))
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    lines = [f"{name}: {before.get(name)} -> {after.get(name)}" for name in changed]
    return [INPAINTER_CHANGED if line.startswith("run.inpainter_sha256:") else line for line in lines]


def _learnt(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of the settings that decide what a run learns, as far as it must have begun with them."""
    prolonged = tuple(f"trainer.{name}" for name in LIMITS)
    for name, value in flat(config):
        if name == FOOTAGE and value:
            yield name, str(Path(value).expanduser().resolve())
        elif role(name, config) is not Role.PLACE and name not in prolonged:
            yield name, value


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Walk a nested mapping; lists and tuples count as values.

    Args:
        tree: The mapping, such as a config.
        prefix: What belongs before every name.

    Yields:
        (dotted name, value).
    """
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value


@cache
def _warn_once(message: str) -> None:
    warn(message)


def _saved(file: Path, take: Callable[[Any], Saved], remedy: str) -> Saved | None:
    """What a JSON file beside a training holds; None where there is none.

    Raises:
        RunError: If it is damaged.
    """
    if not file.is_file():
        return None
    try:
        return take(read_json(file))
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise RunError(f"{file} is damaged: {remedy}.") from error


def _splits(found: Any) -> dict[Split, list[str]]:  # noqa: ANN401  any JSON value
    """Names of the clips of each split, of all three.

    Raises:
        KeyError: If one is missing.
        TypeError: If there is another one, or something else than names.
    """
    splits: dict[Split, list[str]] = {split: found[split] for split in SPLITS}
    lists = all(isinstance(names, list) for names in splits.values())
    if len(found) != len(SPLITS) or not lists or not all(isinstance(name, str) for name in chain(*splits.values())):
        raise TypeError("no lists of names")
    return splits


def _trust(found: Any) -> tuple[float, str]:  # noqa: ANN401  any JSON value
    """The share of frames whose cues agree, and what gave the features.

    Raises:
        KeyError: If one is missing.
        TypeError: If one is something else.
    """
    agree, features = found["agree"], found["features"]
    if not isinstance(features, str) or not 0 <= agree <= 1:
        raise TypeError("no share and no name")
    return float(agree), features
