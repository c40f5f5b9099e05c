"""EncoderFile: the trained encoder as a file of its own, under the names that torchvision has for it."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
import torch

from backdrop.files import whole_file
from backdrop.settings import Place

NAME = "self_supervised.pth"


class EncoderFile(pl.Callback):
    """Write ``self_supervised.pth`` at the end of the training of an encoder; stage 2 takes it as the weights of S.

    Args:
        dirpath: Its folder; the command line fills it in.
    """

    def __init__(self, dirpath: Place[str | None] = None) -> None:
        super().__init__()
        self.dirpath = dirpath

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file, whole or not at all; a trial of a few steps leaves that of a training alone."""
        if not trainer.is_global_zero or self.dirpath is None or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        kept = {name: value for name, value in pl_module.state_dict().items() if name.startswith("backbone.")}
        path = Path(self.dirpath) / NAME
        with whole_file(path, durable=True) as part:
            torch.save({name.removeprefix("backbone."): value.cpu() for name, value in kept.items()}, part)
        print(f"encoder: weights of S in {path}", flush=True)
