"""Loggers of a training: CSV always, W&B beside it (offline where no account is configured), and W&B's artifact."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from backdrop.errors import one_line, warn
from backdrop.files import sha256
from experiments.runs.csv_log import ResumedCSVLogger
from experiments.runs.settings import RunSettings
from experiments.runs.wandb_account import unreachable, wandb_mode, wandb_server

INIT_S, FINISH_S = 60, 300
"""How long W&B may take to begin a run, and to send what is left of it at the end, in seconds."""


def new_run_id() -> str:
    """A W&B run id: eight random hexadecimal digits."""
    return secrets.token_hex(4)


def build_loggers(
    folder: Path, settings: RunSettings, *, resume_step: int | None = None, validation_due: bool = False
) -> list[Logger]:
    """The loggers of one stage.

    Args:
        folder: The stage's folder.
        settings: Names of the run.
        resume_step: Step at which an interrupted training goes on; later rows of its CSV file are dropped.
        validation_due: Whether it goes on with the validation of that step, whose row is dropped too.

    Returns:
        The CSV logger, and the W&B logger unless W&B is disabled.
    """
    loggers: list[Logger] = [ResumedCSVLogger(folder, resume_step, validation_due)]
    mode = wandb_mode()
    if mode == "online" and (why := unreachable()) is not None:
        mode = "offline"
        warn(f"the W&B server {wandb_server()} is not reachable ({why}): {_offline(folder)}.")
    if mode != "disabled":
        import wandb

        folder.mkdir(parents=True, exist_ok=True)  # W&B warns of a folder that it has to make
        loggers.append(
            PatientWandbLogger(
                name=f"{settings.data}-{settings.stage}",
                save_dir=folder,
                id=settings.id,
                project=settings.project,
                offline=mode == "offline",
                group=settings.data,
                job_type=settings.stage,
                tags=[settings.data, settings.profile, *settings.tags],
                settings=wandb.Settings(
                    console="off",
                    silent=mode == "offline",
                    init_timeout=INIT_S,
                    finish_timeout=FINISH_S,
                    finish_timeout_raises=True,
                ),
            )
        )
    return loggers


def _offline(folder: Path) -> str:
    """What becomes of a run that W&B does not take, as the end of a sentence."""
    return f"this run is logged offline, and wandb sync {folder / 'wandb'}/offline-run-* sends it later"


class PatientWandbLogger(WandbLogger):
    """Lightning's W&B logger, which goes on offline where W&B does not take the run.

    It also leaves out an argument that W&B no longer has and warns of.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self._wandb_init.pop("anonymous", None)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:  # noqa: ANN401  a run of W&B
        """The run; made at first use, on rank zero."""
        import wandb

        try:
            return super().experiment
        except wandb.Error as error:  # such as a key that the server does not know
            if self._offline:
                raise
            folder = Path(str(self._save_dir))
            warn(f"W&B does not take this run ({one_line(error).rstrip('.')}): {_offline(folder)}.")
            self._offline = True
            self._wandb_init["mode"] = "offline"
            wandb.teardown()  # or its own process holds that the run is in use
            return super().experiment


def finish_wandb() -> None:
    """Close the W&B run, so that the next training of this process opens its own."""
    wandb = sys.modules.get("wandb")
    run = None if wandb is None else wandb.run
    if run is None:
        return
    try:
        run.finish()
    except TimeoutError:
        sent = f"wandb sync {Path(run.settings.sync_dir)} sends the rest"
        warn(f"W&B had not taken all of this run {FINISH_S} s after its end: {sent}; nothing is lost.")


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
        if self.used is not None:
            for logger in self._loggers(trainer):
                run = logger.experiment  # made here, and offline where W&B does not take it
                if not run.offline:
                    with self._without_wandb():
                        run.use_artifact(self._artifact(self.used))

    @rank_zero_only
    def after_fit(self, trainer: pl.Trainer) -> None:
        """Stage 1: hand the finished checkpoint to W&B; the command line calls this once it is on disk."""
        if self.made is not None and self.made.is_file():
            for logger in self._loggers(trainer):
                with self._without_wandb():
                    logger.experiment.log_artifact(self._artifact(self.made), aliases=["latest"])

    @contextmanager
    def _without_wandb(self) -> Iterator[None]:
        """Go on where W&B does not take the artifact: it is a copy of a file of the run."""
        import wandb

        try:
            yield
        except wandb.Error as error:
            warn(f"W&B did not take the artifact {self.name} ({one_line(error).rstrip('.')}): the training goes on.")

    def _artifact(self, path: Path) -> object:
        import wandb

        artifact = wandb.Artifact(self.name, type="model", metadata={"path": str(path), "sha256": sha256(path)})
        artifact.add_file(str(path), name="inpainter.ckpt")
        return artifact

    @staticmethod
    def _loggers(trainer: pl.Trainer) -> list[WandbLogger]:
        return [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
