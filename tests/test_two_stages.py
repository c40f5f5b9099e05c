"""The hand-over: stage 1 is trained and deleted, stage 2 still loads, and its inpainter never changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from datamodules import DemoDataModule
from lightning_modules import InpaintingModule, SegmentationModule
from lightning_modules.handover import HandoverError
from tests.tiny import PIXELS, SEGMENTATION


def data() -> DemoDataModule:
    return DemoDataModule(
        train_clips=1, val_clips=1, test_clips=1, frames_per_clip=6, image_size=(48, 64), batch_size=2, num_workers=0
    )


def trainer(folder: Path, steps: int) -> pl.Trainer:
    return pl.Trainer(
        default_root_dir=folder, max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0,
    )  # fmt: skip


def copied(module: torch.nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def test_stage_2_is_complete_without_stage_1(tmp_path: Path) -> None:
    pl.seed_everything(0)
    first, inpainter = trainer(tmp_path, 3), InpaintingModule(channels=(4, 8), reconstruction=PIXELS)
    first.fit(inpainter, data())
    first.save_checkpoint(tmp_path / "inpaint.ckpt")

    segmenter = SegmentationModule(inpainter_ckpt=str(tmp_path / "inpaint.ckpt"), **SEGMENTATION)
    handed_over = copied(inpainter.inpainter)
    assert any(key.endswith("running_mean") for key in handed_over)
    initial = copied(segmenter.detector)
    second = trainer(tmp_path, 4)
    second.fit(segmenter, data())
    second.save_checkpoint(tmp_path / "segment.ckpt")
    assert any(not torch.equal(value, initial[key]) for key, value in segmenter.detector.state_dict().items())

    (tmp_path / "inpaint.ckpt").unlink()
    reloaded = SegmentationModule.load_from_checkpoint(tmp_path / "segment.ckpt", weights_only=True)
    for module in (segmenter, reloaded):
        for key, value in module.inpainter.state_dict().items():
            assert torch.equal(value, handed_over[key]), key
    image = torch.rand(2, 3, 48, 64)
    expected, got = segmenter.eval()(image), reloaded.eval()(image)
    torch.testing.assert_close(got["mask"], expected["mask"])
    trainer(tmp_path, 5).fit(reloaded, data())  # and it may be trained on: the inpainter is in it


def test_training_stage_2_without_stage_1_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HandoverError, match="train stage 1, then pass"):
        trainer(tmp_path, 1).fit(SegmentationModule(inpainter_channels=(4, 8), **SEGMENTATION), data())
