"""Targets in the batches of a data module, and what it says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backdrop.contracts import validate_batch
from datamodules import DemoDataModule
from datamodules.contact_sheet import contact_sheet


def module(store: Path, **options: Any) -> DemoDataModule:  # noqa: ANN401
    settings = {"train_clips": 1, "val_clips": 1, "test_clips": 1, "frames_per_clip": 10, "image_size": (96, 128)}
    settings |= {"batch_size": 4, "num_workers": 0, "targets": True, "target_features": "none"}
    return DemoDataModule(**{**settings, **options}, store_dir=str(store))


def test_batches_to_train_and_validate_on_bring_targets_and_those_to_test_on_do_not(tmp_path: Path) -> None:
    data = module(tmp_path)
    assert data.brings() == {"motion", "target", "trust"}
    data.setup()
    for split, stage in (("train", "train"), ("val", "val"), ("test", "test")):
        loader = {"train": data.train_dataloader, "val": data.val_dataloader, "test": data.test_dataloader}[split]()
        batch = data.on_after_batch_transfer(next(iter(loader)), 0)
        validate_batch(batch, stage)  # type: ignore[arg-type]
        assert ("target" in batch) == (split != "test")
        if split != "test":
            assert batch["target"].shape == (4, 1, 96, 128) and 0 < batch["target"].mean() < 0.5
            assert (batch["trust"] > 0).all()


def test_trust_is_that_of_the_frames_to_train_on(tmp_path: Path) -> None:
    data = module(tmp_path)
    data.setup("fit")
    dataset, trust = data.dataset("train"), data.trust()
    assert trust is not None and trust.frames == len(dataset) == 10
    each = [dataset.read(0, position)["trust"].mean() / 255 for position in range(10)]
    assert trust.agree == pytest.approx(np.mean([value >= 0.5 for value in each]))
    assert list(trust.clips) == dataset.clip_names
    assert module(tmp_path, targets=False).trust() is None


def test_the_contact_sheet_has_a_row_of_motion_target_and_trust(tmp_path: Path) -> None:
    data = module(tmp_path)
    data.setup("fit")
    without = module(tmp_path, targets=False)
    without.setup("fit")
    rows, height = contact_sheet(data, columns=3), contact_sheet(without, columns=3).shape[0] // 2
    assert rows.shape[0] == 2 * height * 4
    target = rows[2 * height : 3 * height]
    assert target.max() == 255 and (target == target[..., :1]).all()  # grey


def test_an_unknown_network_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no backbone clip"):
        module(tmp_path, target_features="clip")


def test_targets_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(tmp_path).setup("fit")

    def never(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("datamodules.cues.targets.Targets.fused", never)
    module(tmp_path).setup("fit")
    with pytest.raises(AssertionError, match="made again"):
        module(tmp_path, target_features="footage").setup("fit")  # another setting is another entry
