"""The score: what it looks at, how it is calibrated, and how it travels with a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_modules import SegmentationModule
from lightning_modules.networks import Proposals
from lightning_modules.score import Observed, Score, calibrated, observed
from tests.tiny import SEGMENTATION

HERE, HALF, APART = (0.0, 0.0, 0.5, 0.5), (0.0, 0.0, 0.5, 0.25), (0.9, 0.9, 0.1, 0.1)


def proposals(boxes: list[tuple[float, ...]], probability: list[float]) -> Proposals:
    """One frame whose cells lie in a row; the features of cell n are (n, 1)."""
    count = len(boxes)
    features = torch.stack([torch.arange(count).float(), torch.ones(count)])[None, :, None]
    every = torch.ones(count, dtype=torch.bool)
    return Proposals(torch.tensor([probability]), torch.tensor([boxes]), (1, count), every, features)


def frames(count: int, middle: float, seed: int, certainty: float = 0.9) -> Observed:
    """Frames whose features lie around a place."""
    random = torch.Generator().manual_seed(seed)
    sure = certainty + 0.02 * torch.randn(count, generator=random)
    return Observed(sure, torch.full((count,), 0.8), middle + torch.randn(count, 4, generator=random))


def test_the_signals_are_those_of_a_hand_made_frame() -> None:
    mask = torch.zeros(1, 1, 4, 4)
    mask[0, 0, :2] = 1.0  # eight certain pixels
    seen = observed(proposals([HERE, HALF, APART], [0.5, 0.25, 0.25]), torch.tensor([HERE]), mask)
    assert seen.certainty.item() == pytest.approx(8 / 9)
    assert seen.agreement.item() == pytest.approx(0.5 * 1 + 0.25 * 0.5 + 0.25 * 0)
    assert seen.features[0].tolist() == pytest.approx([0.25 * 1 + 0.25 * 2, 1.0])


def test_a_faint_and_an_empty_mask_are_less_certain() -> None:
    found = proposals([HERE], [1.0])
    levels = [float(observed(found, torch.tensor([HERE]), torch.full((1, 1, 8, 8), m)).certainty) for m in (1, 0.6, 0)]
    assert levels == pytest.approx([64 / 65, 0.36 * 64 / (0.6 * 64 + 1), 0.0])


def test_of_the_frames_held_out_95_in_a_hundred_are_found_and_half_have_a_score_of_at_least_point_nine() -> None:
    own, held_out = frames(60, 0.0, 0), frames(41, 0.0, 1)
    score = calibrated(own, torch.ones(60), torch.ones(60), frames(30, 6.0, 2, 0.5), held_out)
    values = np.sort(score(held_out).numpy())
    assert (values < 0.5 - 1e-6).sum() == 2  # one in twenty
    assert values[2] == pytest.approx(0.5, abs=1e-5)
    assert values[20] == pytest.approx(0.9, abs=1e-5)


def test_frames_without_the_subject_are_found_empty_also_others_than_it_was_calibrated_on() -> None:
    own = frames(60, 0.0, 0)
    score = calibrated(own, torch.ones(60), torch.ones(60), frames(30, 6.0, 2, 0.5), frames(40, 0.0, 1))
    assert (score(frames(50, 6.0, 3, 0.5)) < 0.5).all()
    assert (score(frames(50, -9.0, 4, 0.6)) < 0.5).all()  # on the other side of the own ones


def test_a_frame_whose_mask_agrees_less_with_its_target_has_a_lower_score() -> None:
    own = frames(80, 0.0, 0)
    overlap = (0.7 + 5 * (own.certainty - 0.9)).clamp(0, 1)  # what is less certain is cut worse
    score = calibrated(own, overlap, torch.ones(80), frames(30, 6.0, 2, 0.9), frames(40, 0.0, 1))
    better, worse = frames(1, 0.0, 5), frames(1, 0.0, 5)
    assert float(score(better._replace(certainty=better.certainty + 0.03))) > float(score(worse)) + 0.05


def test_targets_that_are_not_trusted_count_for_nothing() -> None:
    own, overlap = frames(80, 0.0, 0), torch.linspace(0, 1, 80)
    given = (frames(30, 6.0, 2, 0.5), frames(40, 0.0, 1))
    trusted = (torch.arange(80) % 2).float()
    other = torch.where(trusted > 0, overlap, 1 - overlap)
    first, second = (calibrated(own, values, trusted, *given) for values in (overlap, other))
    torch.testing.assert_close(first.overlap, second.overlap)


def score_of(module: SegmentationModule, images: Tensor) -> Score:
    seen, _ = module.observe(images)
    nothing = seen._replace(features=seen.features + 50, certainty=seen.certainty / 2)
    return calibrated(seen, torch.ones(len(images)), torch.ones(len(images)), nothing, seen)


def test_a_calibrated_model_scores_frames_and_its_checkpoint_holds_the_score(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = SegmentationModule(**SEGMENTATION, inpainter_channels=(4, 8)).eval()
    images = torch.rand(12, 3, 36, 48)
    with torch.inference_mode():
        assert "score" not in module(images)
        module.score = score_of(module, images)
        before = module.predict_step({"image": images, "clip": [], "index": images}, 0)["score"]
    assert before.shape == (12,) and bool((before >= 0).all()) and bool((before <= 1).all())
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, default_root_dir=tmp_path, accelerator="cpu")
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    again = SegmentationModule.load_from_checkpoint(tmp_path / "a.ckpt", map_location="cpu").eval()
    with torch.inference_mode():
        torch.testing.assert_close(again(images)["score"], before)
        again.subjects = 2
        assert "score" not in again(images)  # it is calibrated on one subject
