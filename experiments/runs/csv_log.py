"""The CSV log of a training: it goes on where the training does, and a kill loses no row."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any, cast

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter

from backdrop.documents import read_table
from backdrop.errors import warn
from backdrop.files import whole_file


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
            writer = _WholeWriter(self.log_dir)
            writer.begin(rows)
            self._experiment = writer
        return cast(ExperimentWriter, self._experiment)

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
