"""Which loggers a training gets, and what W&B is told offline."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.loggers import WandbLogger

from backdrop.errors import RunError
from backdrop.files import sha256
from experiments.cli import main
from experiments.runs.csv_log import ResumedCSVLogger, read_rows
from experiments.runs.loggers import build_loggers
from experiments.runs.settings import RunSettings
from experiments.runs.wandb_account import has_account, wandb_mode
from tests.wandb_log import records


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without any account."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_no_account_means_offline(nobody: Path) -> None:
    assert not has_account()
    assert wandb_mode() == "offline"


def test_a_key_means_online(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert wandb_mode() == "online"


def test_a_netrc_that_is_no_text_is_no_account(nobody: Path) -> None:
    """Python 3.11's netrc raises UnicodeDecodeError at it, which is no NetrcParseError."""
    (nobody / ".netrc").write_bytes(b"# caf\xe9\nmachine api.wandb.ai login user password x\n")
    assert not has_account()


def test_a_netrc_entry_means_online(nobody: Path) -> None:
    (nobody / ".netrc").write_text("machine elsewhere.org login me password x\n")
    assert wandb_mode() == "offline"
    (nobody / ".netrc").write_text("machine api.wandb.ai login user password x\n")
    assert wandb_mode() == "online"


@pytest.mark.parametrize(("mode", "meant"), [("offline", "offline"), ("dryrun", "offline"), ("disabled", "disabled")])
def test_wandb_mode_is_respected(nobody: Path, monkeypatch: pytest.MonkeyPatch, mode: str, meant: str) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_MODE", mode)
    assert wandb_mode() == meant


def test_csv_stands_alone_where_wandb_is_disabled(tmp_path: Path) -> None:
    (logger,) = build_loggers(tmp_path, RunSettings("inpaint"))
    assert isinstance(logger, ResumedCSVLogger)


def test_wandb_stands_beside_csv(nobody: Path) -> None:
    csv, wandb = build_loggers(nobody, RunSettings("inpaint", data="demo"))
    assert isinstance(csv, ResumedCSVLogger) and isinstance(wandb, WandbLogger)


def test_a_resumed_csv_goes_on(tmp_path: Path) -> None:
    first = ResumedCSVLogger(tmp_path)
    for step in range(4):
        first.log_metrics({"a": step}, step)
    first.save()
    second = ResumedCSVLogger(tmp_path, resume_step=2)
    second.log_metrics({"a": 20, "b": 1.5}, 2)
    second.save()
    rows = read_rows(tmp_path / "csv" / "metrics.csv", 99)
    assert rows == [{"a": "0", "step": "0"}, {"a": "1", "step": "1"}, {"a": "20", "b": "1.5", "step": "2"}]


def test_a_new_csv_starts_empty(tmp_path: Path) -> None:
    for value in (1, 2):
        logger = ResumedCSVLogger(tmp_path)
        logger.log_metrics({"a": value}, 0)
        logger.save()
    assert read_rows(tmp_path / "csv" / "metrics.csv", 99) == [{"a": "2", "step": "0"}]


def test_a_validation_that_is_made_anew_has_one_row(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,train/loss,val/loss\n1,.5,\n1,,.6\n3,.3,\n3,,.4\n4,.2,\n")
    rows = [
        (row["step"], row.get("train/loss"), row.get("val/loss")) for row in read_rows(file, 4, validation_due=True)
    ]
    assert rows == [("1", ".5", None), ("1", None, ".6"), ("3", ".3", None)]
    assert len(read_rows(file, 4)) == 4


def complete_records(path: Path) -> list[Any]:
    """All records of a finished run, once W&B's own process has written the last one."""
    for _ in range(300):
        found = list(records(path))
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        time.sleep(0.1)
    pytest.fail(f"{path} has no exit record")


def test_wandb_offline_knows_the_run(
    nobody: Path, fit_arguments: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(fit_arguments(nobody, "inpaint", "--run.tags=[probe]")) == 0
    (file,) = (nobody / "inpaint" / "wandb").glob("offline-run-*/*.wandb")
    found = complete_records(file)
    (run,) = (record.run for record in found if record.WhichOneof("record_type") == "run")
    assert (run.project, run.run_group, run.job_type) == ("backdrop", "davis", "inpaint")
    assert list(run.tags) == ["davis", "small", "probe"]
    logged = {
        "/".join(item.nested_key) or item.key
        for record in found
        if record.WhichOneof("record_type") == "history"
        for item in record.history.item
    }
    assert {"val/loss", "trainer/global_step"} <= logged
    settings = {
        "/".join(item.nested_key) or item.key: item.value_json
        for record in found
        if record.WhichOneof("record_type") == "config"
        for item in record.config.update
    }
    assert json.loads(settings["cli"])["run"]["tags"] == ["probe"]
    requests = [r.request.log_artifact for r in found if r.WhichOneof("record_type") == "request"]
    artifacts = [r.artifact for r in found if r.WhichOneof("record_type") == "artifact"] + [
        request.artifact for request in requests
    ]
    (artifact,) = [artifact for artifact in artifacts if artifact.name]
    assert artifact.name == "inpainter-davis"
    assert sha256(nobody / "inpaint/checkpoints/last.ckpt") in artifact.metadata


def test_a_mode_that_is_none_of_wandb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "bogus")
    with pytest.raises(RunError, match="WANDB_MODE is 'bogus', expected online, offline or disabled"):
        wandb_mode()
