"""Checkpoints: the last one for resuming, the best one by a quantity without labels."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException

from backdrop.settings import Place


class LastCheckpoint(ModelCheckpoint):
    """Keep ``last.ckpt`` up to date: every so many steps, at the end, and when the user interrupts.

    After any other exception the file stays as it was: a run that ended on a NaN is resumed from before it.

    Args:
        dirpath: Folder of the checkpoint; the command line fills it in.
        every_n_train_steps: Optimiser steps between two writes.
    """

    def __init__(self, dirpath: Place[str | None] = None, every_n_train_steps: Place[int] = 100) -> None:
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
        """Correct two counters of Lightning in every checkpoint, so that a resumed log shows no seam.

        A batch that an interruption cut short is counted as begun, which would shift all later validations by one
        step; and the loggers' step number is saved as it is at the end of a batch, wherever the saving happens.
        """
        loops = checkpoint["loops"]["fit_loop"]
        total, current = (loops["epoch_loop.batch_progress"][name] for name in ("total", "current"))
        if total["processed"] == total["completed"]:  # not at the end of a batch, where Lightning is right
            for counts in (total, current):
                counts["ready"] = counts["started"] = counts["completed"]
            validates = total["completed"] % trainer.val_check_batch == 0  # then Lightning adds one step on resuming
            state = loops["epoch_loop.state_dict"]
            state["_batches_that_stepped"] = checkpoint["global_step"] - (1 if validates else 0)

    def _write(self, trainer: pl.Trainer) -> None:
        if self.dirpath is not None and not trainer.fast_dev_run and not trainer.sanity_checking:  # type: ignore[attr-defined]
            trainer.save_checkpoint(f"{self.dirpath}/last.ckpt")


class BestCheckpoint(ModelCheckpoint):
    """Keep ``best.ckpt``: the smallest validation loss. No label has a part in it.

    Args:
        dirpath: Folder of the checkpoint; the command line fills it in.
        monitor: Logged quantity to minimise, one of the losses.

    Raises:
        ValueError: If it is no loss: the other quantities are made with labels.
    """

    def __init__(self, dirpath: Place[str | None] = None, monitor: str = "val/loss") -> None:
        if not monitor.startswith("val/loss"):
            raise ValueError(f"monitor={monitor!r} would choose a checkpoint by labels: give val/loss or a term of it.")
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
