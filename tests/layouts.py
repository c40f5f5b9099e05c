"""The data module of every layout, on tiny data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datamodules
from datamodules import DemoDataModule, FramesDataModule
from datamodules.clips.clip import Clip
from datamodules.clips.splits import SPLITS, Split
from datamodules.readers import ImageFrames
from datamodules.sets.data_set import DataSet
from tests.fake_data import LAYOUTS, SIZE

Factory = Callable[..., FramesDataModule]

OPTIONS: dict[str, dict[str, object]] = {"h36m": {"every_nth": 1}, "davis-2017": {"year": 2017}}


class Shortest(DataSet):
    """A new data set."""

    def split_clips(self, split: Split) -> list[Clip]:
        return [Clip(folder.name, ImageFrames(folder)) for folder in sorted((self.root / split).iterdir())]


class ShortestDataModule(FramesDataModule):
    """Its data module."""

    def __init__(self, root: str, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.data_set = Shortest(Path(root), val_share=self.val_share, findings=self.findings)


def on_disk(name: str, root: Path, **changes: object) -> FramesDataModule:
    """The data module of one of ``LAYOUTS`` for data that lie in ``root``."""
    arguments: dict[str, Any] = {"image_size": SIZE, "batch_size": 4, "num_workers": 0, **changes}
    kind = getattr(datamodules, f"{name.split('-')[0].capitalize()}DataModule")
    module: FramesDataModule = kind(str(root), **OPTIONS.get(name, {}), **arguments)
    return module


def factory(name: str, root: Path) -> Factory:
    """Builds the data module of one layout, with tiny data of it in ``root``; ``demo-2`` has two figures."""
    if name == "shortest":
        for number, split in enumerate(SPLITS):
            LAYOUTS["videos"](root)
            (root / split).mkdir()
            (root / "clips" / "run2").rename(root / split / f"run{number}")
    elif not name.startswith("demo"):
        LAYOUTS[name](root)

    def build(**changes: object) -> FramesDataModule:
        arguments: dict[str, Any] = {"image_size": SIZE, "batch_size": 4, "num_workers": 0, **changes}
        if name.startswith("demo"):
            counts: dict[str, Any] = {"train_clips": 2, "val_clips": 1, "test_clips": 1, "frames_per_clip": 6}
            counts["figures"] = int(name.partition("-")[2] or 1)
            return DemoDataModule(**counts, **{"store_dir": str(root), **arguments})
        if name == "shortest":
            return ShortestDataModule(str(root), **arguments)
        return on_disk(name, root, **changes)

    return build
