"""Progress on a terminal (rich bars) and in a log file (a line now and then)."""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, RichProgressBar


def progress_bar() -> ProgressBar:
    """Rich bars where somebody watches a terminal, otherwise plain lines."""
    return RichProgressBar() if sys.stdout.isatty() and importlib.util.find_spec("rich") else LineProgress()


def duration(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class LineProgress(ProgressBar):
    """One line of plain text every so many seconds, so that a log stays readable.

    Args:
        every_seconds: Least time between two lines of the same kind.
    """

    def __init__(self, every_seconds: float = 15.0) -> None:
        super().__init__()
        self.every_seconds = every_seconds
        self._enabled = True
        self._started = self._printed = time.monotonic()
        self._first_step = 0

    def disable(self) -> None:
        """Print nothing (Lightning calls this on every rank but the first)."""
        self._enabled = False

    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Print one line at once."""
        if self._enabled:
            print(*args, flush=True)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started = self._printed = time.monotonic()
        self._first_step = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Say step, loss, speed and the time left."""
        step, total = trainer.global_step, _total_steps(trainer)
        if time.monotonic() - self._printed < self.every_seconds and step != total:
            return
        elapsed = time.monotonic() - self._started
        rate = (step - self._first_step) / max(elapsed, 1e-9)
        loss = trainer.callback_metrics.get("train/loss")
        parts = [f"step {step}" + (f"/{total}" if total else "")]
        parts += [f"train/loss {float(loss):.4f}"] if loss is not None else []
        parts += [f"{rate:.2f} steps/s", f"{duration(elapsed)} gone"]
        parts += [f"{duration((total - step) / rate)} left"] if total and rate > 0 and step < total else []
        self.print("  ".join(parts))
        self._printed = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say the validation numbers."""
        if not trainer.sanity_checking:
            chosen = ("val/loss", "val/j_mean", "val/hit_rate")
            found = {name: trainer.callback_metrics[name] for name in chosen if name in trainer.callback_metrics}
            self.print("  ".join([f"step {trainer.global_step}", *(f"{k} {float(v):.4f}" for k, v in found.items())]))

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._printed = time.monotonic()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Say how many test batches are done."""
        if time.monotonic() - self._printed >= self.every_seconds:
            self.print(f"test batch {batch_idx + 1}/{trainer.num_test_batches[dataloader_idx]}")
            self._printed = time.monotonic()


def _total_steps(trainer: pl.Trainer) -> int:
    """Optimiser steps of the whole training, 0 where no limit is known."""
    total = trainer.estimated_stepping_batches
    return int(total) if 0 < total < float("inf") else 0
