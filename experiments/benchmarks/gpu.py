"""What the commands for a GPU share: whether there is one, a timer of steps, and the peak of its matrix products."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch

from backdrop.errors import RunError

WARM_UP = 10  # steps in which kernels are chosen and compiled


def require_gpu(command: str) -> None:
    """Refuse to go on without a GPU.

    Args:
        command: Name of the command, for the message.

    Raises:
        RunError: If there is none.
    """
    if not torch.cuda.is_available():
        raise RunError(f"{command} needs a CUDA GPU, and torch sees none: run it on a machine that has one.")


class StepTimer(pl.Callback):
    """Time the steps of a training after the first few.

    Args:
        warm_up: Steps that are not timed.

    Attributes:
        seconds: What the others took.
        images: How many images they saw.
    """

    def __init__(self, warm_up: int = WARM_UP) -> None:
        self.warm_up, self.seconds, self.images, self._seen, self._started = warm_up, 0.0, 0, 0, 0.0

    @property
    def images_per_second(self) -> float | None:
        """The speed; None where no step was timed."""
        return self.images / self.seconds if self.images else None

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Start the clock at the first step that counts."""
        if self._seen == self.warm_up:
            self._started = _now()
        if self._seen >= self.warm_up:
            self.images += len(batch["image"])
        self._seen += 1

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop it."""
        if self.images:
            self.seconds = _now() - self._started


def matrix_rate(device: torch.device, side: int, rounds: int = 100) -> float:
    """Measure how fast a device multiplies two square bfloat16 matrices of random numbers.

    Args:
        device: The device.
        side: Rows and columns of each.
        rounds: Products that are timed, after a fifth as many that are not.

    Returns:
        Floating-point operations per second; a multiplication and an addition count as two.
    """
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    product = torch.empty_like(left)
    for _ in range(rounds // 5):
        torch.mm(left, right, out=product)
    started = _now()
    for _ in range(rounds):
        torch.mm(left, right, out=product)
    return 2 * side**3 * rounds / (_now() - started)


def _now() -> float:
    """The time in seconds, once the GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
