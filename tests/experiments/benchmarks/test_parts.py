"""Where the time of a step goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from experiments.benchmarks import parts
from lightning_modules import InpaintingModule
from lightning_modules.losses import Reconstruction


class Frames(pl.LightningDataModule):
    """Three batches of two frames."""

    def train_dataloader(self) -> DataLoader[dict[str, object]]:
        batch = {"image": torch.rand(2, 3, 32, 32), "clip": ["a", "a"], "index": torch.arange(2)}
        return DataLoader([batch] * 3, batch_size=None)  # type: ignore[arg-type]


def test_every_part_of_a_step_is_timed_and_its_operations_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "product_rate", lambda: 1e9)
    module = InpaintingModule([8, 8], reconstruction=Reconstruction(perceptual_net=None, perceptual_weight=0.0))
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_steps=3, accelerator="cpu", callbacks=[parts.Parts(str(tmp_path / "p.json"))], **quiet)  # type: ignore[arg-type]
    trainer.fit(module, datamodule=Frames())
    found = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    named = {parts.AUGMENTATION, "I forward", parts.REST, parts.BACKWARD, parts.OPTIMISER, parts.BETWEEN, parts.WAITING}
    assert found["parts"].keys() == named
    assert found["parts"]["I forward"] > 0 and found["parts"][parts.BACKWARD] > 0
    assert found["images"] == 2 and found["flops"] > 1e6 and found["peak"] == 1e9
