"""The stage-1 checkpoint as a W&B artifact: stage 1 makes it, stage 2 uses it."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from backdrop.files import sha256
from experiments.runs.loggers import wandb_mode


class InpainterArtifact(pl.Callback):
    """Tie the two stages together in W&B.

    Both stages build the same artifact from the same file; W&B recognises it by its content, so that the segmentation
    run points to the version that the inpainting run made. Offline, the path and check sum in the config say the same.

    Args:
        name: Name of the artifact.
        used: Checkpoint that this run starts from (stage 2), or None.
        made: Checkpoint that this run makes (stage 1), or None.
    """

    def __init__(self, name: str, used: Path | None = None, made: Path | None = None) -> None:
        self.name, self.used, self.made = name, used, made

    @rank_zero_only
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stage 2: note which inpainter is used. W&B refuses this offline."""
        if self.used is not None and wandb_mode() == "online":
            for logger in self._loggers(trainer):
                logger.experiment.use_artifact(self._artifact(self.used))

    @rank_zero_only
    def after_fit(self, trainer: pl.Trainer) -> None:
        """Stage 1: hand the finished checkpoint to W&B; the command line calls this once it is on disk."""
        if self.made is not None and self.made.is_file():
            for logger in self._loggers(trainer):
                logger.experiment.log_artifact(self._artifact(self.made), aliases=["latest"])

    def _artifact(self, path: Path) -> object:
        import wandb

        artifact = wandb.Artifact(self.name, type="model", metadata={"path": str(path), "sha256": sha256(path)})
        artifact.add_file(str(path), name="inpainter.ckpt")
        return artifact

    @staticmethod
    def _loggers(trainer: pl.Trainer) -> list[WandbLogger]:
        return [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
