"""Checkpoints: the last one for resuming, the best one by a quantity without labels."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException


class LastCheckpoint(ModelCheckpoint):
    """Keep ``last.ckpt`` up to date: every so many steps, at the end, and when the user interrupts.

    After any other exception the file stays as it was: a run that ended on a NaN is resumed from before it.

    Args:
        dirpath: Folder of the checkpoint; the command line fills it in.
        every_n_train_steps: Optimiser steps between two writes.
    """

    def __init__(self, dirpath: str | None = None, every_n_train_steps: int = 100) -> None:
        super().__init__(
            dirpath=dirpath,
            filename="last",
            save_top_k=1,
            every_n_train_steps=every_n_train_steps,
            enable_version_counter=False,
        )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the final state, epoch counters included."""
        self._write(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write the state at an interruption by the user or the system."""
        if isinstance(exception, KeyboardInterrupt | SIGTERMException) and trainer.global_step > 0:
            self._write(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Correct the step number of the loggers in every checkpoint.

        Lightning adds one on resuming unless the last batch was complete, and saves a number that is right only for
        checkpoints written at the end of a batch: after an interruption in mid-batch the log would skip a step.
        """
        state = checkpoint["loops"]["fit_loop"]["epoch_loop.state_dict"]
        total = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
        complete = total["ready"] == total["started"] == total["processed"] == total["completed"]
        state["_batches_that_stepped"] = checkpoint["global_step"] - (0 if complete else 1)

    def _write(self, trainer: pl.Trainer) -> None:
        if self.dirpath is not None and not trainer.fast_dev_run and not trainer.sanity_checking:  # type: ignore[attr-defined]
            trainer.save_checkpoint(f"{self.dirpath}/last.ckpt")


class BestCheckpoint(ModelCheckpoint):
    """Keep ``best.ckpt``: the smallest validation loss. No label has a part in it.

    Args:
        dirpath: Folder of the checkpoint; the command line fills it in.
        monitor: Logged quantity to minimise.
    """

    def __init__(self, dirpath: str | None = None, monitor: str = "val/loss") -> None:
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode="min",
            save_top_k=1,
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )
