"""NanGuard: stops the training at the first loss that is not a number."""

from __future__ import annotations

from collections.abc import Mapping

import pytorch_lightning as pl
import torch
from torch import Tensor


class LossNotFinite(RuntimeError):
    """The training loss became NaN or infinite."""


class NanGuard(pl.Callback):
    """Stop the training at the first loss that is NaN or infinite, before it reaches the weights.

    The loss is looked at before the backward pass, so the weights, and the last checkpoint, are those of before. With
    several processes all of them stop where one finds it. It costs one read of one number per step.
    """

    def __init__(self) -> None:
        """Start with no batch seen."""
        super().__init__()
        self._frames = ""

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Remember where the batch comes from, for the message."""
        clips = sorted(set(batch["clip"])) if isinstance(batch, Mapping) and "clip" in batch else []
        self._frames = f" (clips {', '.join(clips[:4])}{', ...' if len(clips) > 4 else ''})" if clips else ""

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Check the loss.

        Raises:
            LossNotFinite: If the loss of this process or of another one is NaN or infinite.
        """
        value = loss.detach()
        # a float16 loss comes here already multiplied by the gradient scaler, which may rightly overflow
        bad = value.isnan() if value.dtype == torch.float16 else ~value.isfinite()
        here = bool(bad.any())
        if trainer.strategy.reduce_boolean_decision(here, all=False):
            what = f"is {value.flatten()[0].item()}" if here else "of another process is not finite"
            raise LossNotFinite(
                f"the training loss {what} at step {trainer.global_step} (epoch {trainer.current_epoch + 1}), and the "
                "weights were left as they were: lower model.init_args.learning_rate, set trainer.precision to "
                f"32-true, or look for broken frames in this batch{self._frames if here else ''}"
            )
