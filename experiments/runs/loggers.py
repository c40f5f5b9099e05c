"""Loggers of a training: CSV always, W&B beside it (offline where no account is configured), and W&B's artifact."""

from __future__ import annotations

import csv
import netrc
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytorch_lightning as pl
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.utilities import rank_zero_only

from backdrop.documents import read_table
from backdrop.errors import warn
from backdrop.files import sha256, whole_file
from experiments.runs.settings import RunSettings


def wandb_mode() -> str:
    """How W&B is used: ``online``, ``offline`` or ``disabled``.

    ``WANDB_MODE`` decides where it is set; else an account (``WANDB_API_KEY`` or a ``netrc`` entry) means online.
    """
    mode = os.environ.get("WANDB_MODE", "").lower()
    if mode:
        return {"dryrun": "offline", "shared": "online"}.get(mode, mode)
    return "online" if has_account() else "offline"


def has_account() -> bool:
    """Whether a W&B key is configured on this machine."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    named = os.environ.get("NETRC")
    for file in [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            if netrc.netrc(str(file)).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


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
    if mode != "disabled":
        import wandb

        quiet = {"console": "off", "silent": True} if mode == "offline" else {"console": "off"}
        folder.mkdir(parents=True, exist_ok=True)  # W&B warns of a folder that it has to make
        loggers.append(
            QuietWandbLogger(
                name=f"{settings.data}-{settings.stage}",
                save_dir=folder,
                id=settings.id,
                project=settings.project,
                offline=mode == "offline",
                group=settings.data,
                job_type=settings.stage,
                tags=[settings.data, settings.profile, *settings.tags],
                settings=wandb.Settings(**quiet),
            )
        )
    return loggers


class QuietWandbLogger(WandbLogger):
    """Lightning's W&B logger without an argument that W&B no longer has and warns of."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self._wandb_init.pop("anonymous", None)


class _WholeWriter(ExperimentWriter):
    """Makes ``metrics.csv`` anew beside itself, so that a kill loses no row; Lightning empties it first."""

    def _check_log_dir_exists(self) -> None:
        """Lightning would delete the file here."""

    def begin(self, rows: list[dict[str, Any]]) -> None:
        """Begin with rows of an earlier process; without any, with no file."""
        self.metrics_keys = sorted({name for row in rows for name in row})
        if rows:
            self._write(rows)
        else:
            Path(self.metrics_file_path).unlink(missing_ok=True)

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        """Lightning calls this where a column is new."""
        self._write([row for _, row in read_table(Path(self.metrics_file_path))[1]])

    def _write(self, rows: list[dict[str, Any]]) -> None:
        with whole_file(Path(self.metrics_file_path)) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)


class ResumedCSVLogger(CSVLogger):
    """``csv/metrics.csv`` of a stage; a resumed training goes on in the same file.

    Lightning's own logger deletes the earlier rows.

    Args:
        folder: The stage's folder.
        resume_step: Keep the earlier rows up to this step; None starts an empty file.
        validation_due: Whether the validation of that step is made anew, so that its row goes.
    """

    def __init__(self, folder: Path, resume_step: int | None = None, validation_due: bool = False) -> None:
        super().__init__(save_dir=folder, name="csv", version="", flush_logs_every_n_steps=50)
        self.resume_step, self.validation_due = resume_step, validation_due

    @property
    def log_dir(self) -> str:
        """The folder of ``metrics.csv``."""
        return self.root_dir

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer; made at first use, on rank zero."""
        if self._experiment is None:
            file = Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE
            try:
                rows = read_rows(file, self.resume_step, self.validation_due)
            except ValueError as error:
                aside = file.with_name(f"damaged_{file.name}")
                os.replace(file, aside)
                warn(f"{file} is damaged ({error}): it is kept as {aside}, and the log begins anew.")
                rows = []
            self._experiment = _WholeWriter(self.log_dir)
            self._experiment.begin(rows)
        return self._experiment

    def save(self) -> None:
        """Write the rows that are not in the file yet.

        Raises:
            OSError: If the disk refuses them; it names the file.
        """
        try:
            super().save()
        except OSError as error:
            file = Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE
            raise OSError(error.errno, error.strerror, str(file)) from error


def read_rows(file: Path, last_step: int | None, validation_due: bool = False) -> list[dict[str, Any]]:
    """Earlier rows of a CSV log.

    Args:
        file: The CSV file; it need not exist.
        last_step: Rows beyond this step are left out; None leaves out all.
        validation_due: Leave out what the validation of this step has logged.

    Returns:
        One mapping per row, empty cells left out; a last line that is still being written is no row.

    Raises:
        ValueError: If the file is damaged.
    """
    if last_step is None or not file.is_file():
        return []
    heads, lines = read_table(file, unfinished=True)
    if "step" not in heads and lines:
        raise ValueError("it has no column step")
    for number, line in lines:
        if not line["step"].isdecimal():
            raise ValueError(f"line {number} names no step")
    rows = [{key: value for key, value in line.items() if value} for _, line in lines]
    kept = [row for row in rows if int(row["step"]) < last_step]
    anew = last_step - 1 if validation_due else None  # steps are counted from 0
    return [row for row in kept if int(row["step"]) != anew or not any(name.startswith("val/") for name in row)]


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
