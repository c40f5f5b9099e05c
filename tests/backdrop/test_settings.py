"""Every setting says beside itself what it is of."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import pytorch_lightning as pl

import callbacks
import datamodules
import experiments.runs.checkpoints
import lightning_modules
from backdrop import settings
from backdrop.settings import Beginning, Measurement, Place, Role, Use
from experiments.runs.folder import StageFolder, flat
from experiments.runs.settings import RunSettings, role


class Inner:
    def __init__(self, width: int = 1, weights: Beginning[str | None] = None) -> None: ...


class Outer:
    def __init__(self, folder: Place[str], inner: Inner | None = None, size: Measurement[int] = 1) -> None: ...


class Special(Outer):
    def __init__(self, size: Measurement[int] = 2, speed: float = 1.0, **kwargs: Any) -> None: ...  # noqa: ANN401


@dataclass
class Grouped:
    depth: int = 1
    device: Place[str] = "cpu"


class WithGroup:
    def __init__(self, group: Grouped, disk: Place[Grouped]) -> None: ...


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (Outer, "folder", Role.PLACE),
        (Outer, "size", Role.MEASUREMENT),
        (Special, "folder", Role.PLACE),  # handed on
        (Special, "speed", Role.TRAINING),
        (Outer, "inner.width", Role.TRAINING),
        (WithGroup, "group.depth", Role.TRAINING),
        (WithGroup, "group.device", Role.PLACE),
        (WithGroup, "disk.depth", Role.PLACE),  # the outermost mark wins
        (Outer, "unknown", Role.TRAINING),
    ],
)
def test_a_setting_is_of_what_its_annotation_says(kind: type, name: str, expected: Role) -> None:
    assert settings.role(kind, name) is expected


def test_the_class_path_in_a_config_says_whose_argument_it_is() -> None:
    arguments = {"inner": {"class_path": f"{LastCheckpoint.__module__}.LastCheckpoint", "init_args": {"dirpath": "x"}}}
    assert settings.role(Outer, "inner.init_args.dirpath", arguments) is Role.PLACE
    assert settings.role(Outer, "inner.init_args.width", arguments) is Role.TRAINING
    assert Use.BEGIN in settings.marks(Outer, "inner.weights")


LastCheckpoint = experiments.runs.checkpoints.LastCheckpoint
ROOMS = (callbacks, datamodules, lightning_modules, experiments.runs.checkpoints)
NAMED = [
    kind
    for room in ROOMS
    for name, kind in ((name, getattr(room, name)) for name in getattr(room, "__all__", dir(room)))
    if inspect.isclass(kind) and kind.__module__.split(".")[0] == room.__name__.split(".")[0] and name[0] != "_"
    if issubclass(kind, pl.LightningModule | pl.LightningDataModule | pl.Callback)
]


@pytest.mark.parametrize("kind", [*NAMED, RunSettings], ids=lambda kind: kind.__name__)
def test_no_setting_has_two_marks(kind: type) -> None:
    for name, annotation in settings.argument_types(kind).items():
        extras = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
        assert len([mark for mark in extras if isinstance(mark, Role)]) <= 1, name


def test_the_settings_that_are_not_of_the_training() -> None:
    """What is unmarked is of the training: a table that a change of this list would split is looked at here."""
    found: dict[Role, set[str]] = {part: set() for part in Role}
    for kind in NAMED:
        if issubclass(kind, pl.LightningModule | pl.LightningDataModule):
            for name in settings.argument_types(kind):
                found[settings.role(kind, name)].add(name)
    assert found[Role.PLACE] == {"root", "num_workers", "store_dir", "store_limit_gb", "inpainter_ckpt"}
    assert found[Role.MEASUREMENT] == {
        *("image_size", "held_out", "evaluated_part"),
        *("every_nth", "fps", "time_ranges", "val_fraction"),
        *("resolution", "year", "object_id", "apart", "unsupervised"),
        *("preset", "seed", "test_clips", "frames_per_clip", "figures"),
        *("silhouettes", "studies", "whole_skier", "background_regions"),
    }


def test_every_setting_of_a_saved_config_is_of_one_part(trained: Path) -> None:
    config = StageFolder(trained / "segment").config()
    found: dict[Role, list[str]] = {part: [] for part in Role}
    for name, _ in flat(config):
        found[role(name, config)].append(name)
    assert {"data.init_args.root", "trainer.devices", "run.id", "trainer.callbacks"} <= {*found[Role.PLACE]}
    assert {"seed_everything", "trainer.max_steps", "trainer.precision", "run.profile"} <= {*found[Role.TRAINING]}
    assert {"data.init_args.image_size", "run.data"} <= {*found[Role.MEASUREMENT]}
