"""Checkpoints: the last one for resuming, the best one by a quantity without labels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException

from backdrop.files import whole_file
from backdrop.ranges import at_least
from backdrop.settings import Place
from experiments.runs.folder import FORMER, LAST
from experiments.runs.interruption import Interruption


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its target and renames it once it is on the disk; the former ``last.ckpt`` is kept.

    Lightning writes into the folder for temporary files and moves the result, which copies it where that is another
    file system: a kill meanwhile leaves an empty checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ANN401
        """Write a checkpoint, whole or not at all.

        Raises:
            OSError: If it cannot be written; it names the file, and what was there stays.
        """
        target, content = Path(path), io.BytesIO()
        torch.save(checkpoint, content)  # into memory: a file of its own would hide why the disk refused it
        keep = target.with_name(FORMER) if target.name == LAST else None
        with whole_file(target, keep, durable=True) as part:
            part.write_bytes(content.getbuffer())


@dataclass(frozen=True)
class StepEnd:
    """Where a training stands at the end of an optimiser step.

    Attributes:
        batches: Batches done.
        in_epoch: Those of them in this epoch.
        epoch: Epochs completed before this one.
        ends_epoch: Whether this epoch has no further batch.
    """

    batches: int
    in_epoch: int
    epoch: int
    ends_epoch: bool


class LastCheckpoint(Checkpoint):
    """Keep ``last.ckpt`` up to date: every so many steps, at the end, and when the user or the system interrupts.

    It holds the state at the end of an optimiser step, and is written once all is done that belongs to the step, its
    validation and the rows of the log too. An interruption waits for the end of the step, or ends a validation, which
    is then made anew on resuming. After any other exception the file stays as it was: a run that ended on a NaN is
    resumed from before it. The one before it is kept as ``former.ckpt``.

    Args:
        dirpath: Folder of the checkpoint; the command line fills it in.
        every_n_train_steps: Optimiser steps between two writes.

    Raises:
        ValueError: If these are fewer than one.
    """

    def __init__(self, dirpath: Place[str | None] = None, every_n_train_steps: Place[int] = 100) -> None:
        super().__init__()
        at_least(1, self, every_n_train_steps=every_n_train_steps)
        self.dirpath, self.every_n_train_steps = dirpath, every_n_train_steps
        self._interruption = Interruption()
        self._at: StepEnd | None = None
        self._step = 0
        self._within = self._due = self._validation_is_due = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let checkpoints be written beside their targets, and remove what a kill has left of such a write."""
        folder = Path(self.dirpath or Path(trainer.default_root_dir) / "checkpoints")
        self.dirpath = str(folder)
        if isinstance(trainer.strategy.checkpoint_io, TorchCheckpointIO):
            trainer.strategy.checkpoint_io = WholeCheckpoints()
        if stage == "fit" and trainer.is_global_zero:
            for part in folder.glob(".*.ckpt*.part"):
                part.unlink(missing_ok=True)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Bring the counters back before anything asks the data module for the batch to begin with.

        Lightning does so later: where it counts the batches of an epoch, after the loader was made.
        """
        if trainer.state.fn != "fit":
            return
        loops = checkpoint["loops"]["fit_loop"]
        trainer.fit_loop.load_state_dict(loops)
        batch, epoch = loops["epoch_loop.batch_progress"], loops["epoch_progress"]["current"]["processed"]
        total, current = (batch[name]["processed"] for name in ("total", "current"))
        self._at = StepEnd(total, current, epoch, batch["is_last_batch"])
        validation = loops["epoch_loop.val_loop.batch_progress"]["total"]
        self._validation_is_due = validation["started"] > validation["processed"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hear Ctrl-C and SIGTERM from here on."""
        self._step = trainer.global_step
        self._interruption = Interruption()
        self._interruption.listen()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """All is done that belongs to the step before: end here if that is wanted, or write if it is time to."""
        if not self._within:
            self._validation_is_due = False
            self._interruption.ask(trainer)
            if self._due:
                self._write(trainer)
        self._within = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Note where the training stands, if the batch has completed a step."""
        if trainer.global_step == self._step:  # its gradients are summed with those of the next batch
            return
        self._step, self._within = trainer.global_step, False
        progress = trainer.fit_loop.epoch_loop.batch_progress
        total, current = progress.total.ready, progress.current.ready
        ends = progress.is_last_batch or current >= trainer.num_training_batches
        self._at = StepEnd(total, current, trainer.current_epoch, ends)
        self._due = self._step % self.every_n_train_steps == 0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let an interruption end the validation: several processes must agree, which they do in training only."""
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self._validation_is_due = True
            self._interruption.ask(trainer)
            self._interruption.at_once = trainer.world_size == 1

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The validation of this step is done."""
        self._interruption.at_once = False
        if not trainer.sanity_checking:
            self._validation_is_due = False

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the final state, epoch counters included."""
        self._validation_is_due = False
        self._write(trainer)
        try:
            self._interruption.ask(trainer)
        finally:
            self._interruption.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write the state at an interruption, unless it fell into a step, or one process only knows of it.

        Nor is the last step of all written without its validation: the training would pass for finished.
        """
        wanted = isinstance(exception, KeyboardInterrupt | SIGTERMException) and not self._within
        finished = self._validation_is_due and 0 < trainer.max_steps <= trainer.global_step
        try:
            if wanted and not finished and (trainer.world_size == 1 or self._interruption.agreed):
                self._write(trainer)
        finally:
            self._interruption.close()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write Lightning's counters as they are at the end of the step, wherever the saving happens.

        Lightning goes on rightly from two states only, which are written here: in front of a batch, with a new epoch
        begun where the former has ended; and in front of a validation, which counts as begun.
        """
        at, due = self._at, self._validation_is_due
        if at is None:
            return
        ended = at.ends_epoch and not due
        epoch, current = (at.epoch + 1, 0) if ended else (at.epoch, at.in_epoch)
        loops = checkpoint["loops"]["fit_loop"]
        checkpoint["epoch"] = epoch
        begun = {"ready": epoch + (not ended), "started": epoch + (not ended), "processed": epoch, "completed": epoch}
        loops["epoch_progress"] = {"total": begun, "current": dict(begun)}
        loops["epoch_loop.batch_progress"] = {
            "total": _counts(at.batches), "current": _counts(current), "is_last_batch": at.ends_epoch and due,
        }  # fmt: skip
        validation = _counts(0) | {"ready": int(due), "started": int(due)}
        loops["epoch_loop.val_loop.batch_progress"] = {
            "total": validation, "current": _counts(0), "is_last_batch": False,
        }  # fmt: skip
        # the loggers' step number: on resuming, Lightning adds one where it makes, or leaves out, a validation
        counted, every = at.batches if trainer.check_val_every_n_epoch is None else current, trainer.val_check_batch
        validates = trainer.enable_validation and every is not None and counted % every == 0
        restarts = trainer.max_steps != -1 or not ended
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] = checkpoint["global_step"] - (
            due or (validates and restarts)
        )

    def _write(self, trainer: pl.Trainer) -> None:
        self._due = False
        if self._at is not None and not trainer.fast_dev_run and not trainer.sanity_checking:  # type: ignore[attr-defined]
            for logger in trainer.loggers:
                logger.save()  # the rows up to here, which a resumed training does not make again
            trainer.save_checkpoint(f"{self.dirpath}/{LAST}")


def _counts(number: int) -> dict[str, int]:
    """Lightning's counters of so many batches, all of them done."""
    return dict.fromkeys(("ready", "started", "processed", "completed"), number)


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

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Bring the best score back, where the run folder was moved too; without ``best.ckpt`` there is none."""
        best = Path(str(self.dirpath)) / "best.ckpt"
        if not best.is_file():
            return
        names = ("best_model_path", "kth_best_model_path")
        moved = {name: str(best) if state_dict[name] else "" for name in names}
        scores = {str(best): score for score in state_dict["best_k_models"].values()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": scores, "dirpath": self.dirpath})
