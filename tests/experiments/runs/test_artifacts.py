"""The W&B artifact that ties the stages together, against a stand-in for the W&B run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytorch_lightning.loggers import WandbLogger

from backdrop.files import sha256
from experiments.runs.loggers import InpainterArtifact


class Logger(WandbLogger):
    """Notes what is logged and used."""

    def __init__(self, offline: bool = False) -> None:
        self.offline = offline
        self.logged: list[Any] = []
        self.used: list[Any] = []

    @property
    def experiment(self) -> Any:  # noqa: ANN401
        return SimpleNamespace(
            log_artifact=lambda artifact, aliases: self.logged.append(artifact),
            use_artifact=self.used.append,
            offline=self.offline,
        )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"weights")
    return path


def test_both_stages_speak_of_the_same_artifact(checkpoint: Path) -> None:
    logger = Logger()
    trainer: Any = SimpleNamespace(loggers=[logger])
    InpainterArtifact("inpainter-demo", made=checkpoint).after_fit(trainer)
    InpainterArtifact("inpainter-demo", used=checkpoint).on_fit_start(trainer, None)  # type: ignore[arg-type]
    (made,), (used,) = logger.logged, logger.used
    assert made.name == used.name == "inpainter-demo"
    assert made.digest == used.digest  # W&B finds the version by this
    assert made.metadata["sha256"] == sha256(checkpoint)


def test_nothing_is_used_offline(checkpoint: Path) -> None:
    logger = Logger(offline=True)
    trainer: Any = SimpleNamespace(loggers=[logger])
    InpainterArtifact("inpainter-demo", used=checkpoint).on_fit_start(trainer, None)  # type: ignore[arg-type]
    assert not logger.used


def test_no_logger_is_no_error(checkpoint: Path) -> None:
    InpainterArtifact("inpainter-demo", made=checkpoint).after_fit(SimpleNamespace(loggers=[]))  # type: ignore[arg-type]
