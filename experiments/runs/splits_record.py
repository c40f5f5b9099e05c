"""The record of a training's splits: which clips it trains, validates and tests on, for every later command."""

from __future__ import annotations

import json

import pytorch_lightning as pl

from backdrop.files import write_text
from datamodules import FramesDataModule
from experiments.runs.folder import StageFolder


class SplitsRecord(pl.Callback):
    """Write the clips of each split into the stage's folder when a training begins, see :meth:`StageFolder.clips`.

    Args:
        folder: The stage's folder; a record in it stays.
    """

    def __init__(self, folder: StageFolder) -> None:
        self.folder = folder

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it, now that the clips can be read."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, FramesDataModule) and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            if not self.folder.clips_file.is_file():
                write_text(self.folder.clips_file, json.dumps(data.clip_names(), indent=1) + "\n")
