"""Plates come with the frames that they belong to, and change as these do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import FramesDataModule
from datamodules.clips.clip import Clip
from datamodules.clips.planes import Frames, Plane
from datamodules.contact_sheet import contact_sheet
from datamodules.plates.evidence import plate_evidence
from datamodules.plates.kinds import PlateKind, plate_producer
from datamodules.plates.plate import evidence_bytes
from datamodules.readers import Broken, FrameSource, Keep, Pixels
from datamodules.store.entry import StoredClip
from datamodules.store.store import FrameStore
from datamodules.transforms import FrameAugmentation
from tests.layouts import factory

PLANES = ("image", "plate", "covered", "evidence")


@pytest.mark.parametrize("kind", ["static", "temporal"])
@pytest.mark.parametrize("layout", ["demo", "davis", "videos", "h36m"])
def test_training_and_validation_bring_plates_and_test_does_not(layout: str, kind: PlateKind, tmp_path: Path) -> None:
    data = factory(layout, tmp_path)(plates=kind, store_dir=str(tmp_path / "store"))
    data.setup()
    for split, loader in (("train", data.train_dataloader()), ("val", data.val_dataloader())):
        batch = data.on_after_batch_transfer(next(iter(loader)), 0)
        count, _, height, width = batch["image"].shape
        assert batch["plate"].shape == batch["image"].shape and batch["plate"].dtype == torch.float32, split
        assert 0 <= batch["plate"].min() and batch["plate"].max() <= 1
        assert batch["covered"].shape == (count, 1, height, width) and batch["covered"].dtype == torch.bool
        assert batch["evidence"].shape == (count, 1, height, width) and batch["evidence"].dtype == torch.float32
        assert 0 < batch["evidence"].max() <= 1, split
    assert "plate" not in next(iter(data.test_dataloader()))


def test_a_frame_is_mirrored_with_its_plate(tmp_path: Path) -> None:
    data = factory("demo", tmp_path)(plates="static", batch_size=12, augment=False)
    data.setup("fit")
    plain = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    torch.manual_seed(0)
    changed = data.dataset("train")
    changed.transform = FrameAugmentation(flip=1.0, photometric=0.0)
    by_number = {(clip, int(i)): n for n, (clip, i) in enumerate(zip(plain["clip"], plain["index"], strict=True))}
    mirrored = data.on_after_batch_transfer(changed.__getitems__(range(len(changed))), 0)
    for n, key in enumerate(zip(mirrored["clip"], mirrored["index"].tolist(), strict=True)):
        for name in PLANES:
            assert torch.equal(mirrored[name][n], plain[name][by_number[key]].flip(-1)), name


def test_colours_change_the_plate_with_the_frame_and_not_the_evidence(tmp_path: Path) -> None:
    data = factory("demo", tmp_path)(plates="static", augment=False)
    data.setup("fit")
    dataset = data.dataset("train")
    plain = dataset[0]
    dataset.transform = FrameAugmentation(flip=0.0, photometric=1.0)
    changed = dataset[0]
    assert [torch.equal(changed[name], plain[name]) for name in PLANES] == [False, False, True, True]


def test_plates_that_two_splits_share_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[StoredClip] = []
    whole = FrameStore.write
    monkeypatch.setattr(FrameStore, "write", lambda *args, **kw: made.append(whole(*args, **kw)) or made[-1])
    factory("davis", tmp_path)(plates="temporal", clips=["camel"], store_dir=str(tmp_path / "store")).prepare()
    assert [entry.name for entry in made] == ["camel", "camel plates"]


def test_what_the_plates_tell_of_the_subject_is_an_option_of_the_data(tmp_path: Path) -> None:
    make = factory("davis", tmp_path)

    def found(kind: str) -> torch.Tensor:
        data = make(plates="temporal", plate_evidence=kind, store_dir=str(tmp_path / "store"))
        data.setup("fit")
        batch = data.on_after_batch_transfer(data.dataset("val").__getitems__([0]), 0)
        evidence: torch.Tensor = batch["evidence"]
        return evidence

    one, agreed, measured, coloured = (found(kind) for kind in ("one_subject", "agreed", "measured", "appearance"))
    assert not torch.equal(one, coloured)
    assert not torch.equal(agreed, measured) and not torch.equal(one, agreed)
    assert torch.equal(one[one > 0], agreed[one > 0])


@pytest.mark.parametrize("kind", ["static", "temporal"])
def test_the_evidence_is_measured_where_the_plate_is_that_of_a_whole_clip(kind: PlateKind, tmp_path: Path) -> None:
    data = factory("davis", tmp_path)(plates=kind, clips=["camel"], store_dir=str(tmp_path / "store"))
    data.setup("fit")
    frame = data.dataset("train").read(0, 3)
    measured = evidence_bytes(plate_evidence(frame["image"], frame["plate"], frame["covered"] > 127))
    assert np.array_equal(frame["evidence"], measured) == (kind == "static") and frame["evidence"].any()


class Brightness(Frames):
    """Makes a plane that no data module of ours has."""

    planes = (Plane("brightness"),)

    def kept(self, clip: Clip) -> Clip:
        return replace(clip, name=f"{clip.name} brightness")

    def make(
        self, source: FrameSource, size: tuple[int, int], keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, dict[str, Pixels]]]:
        for frame_number, image in source.frames(size, keep, broken):
            yield frame_number, {"brightness": image.max(axis=2)}


def test_a_new_plane_takes_a_name_and_a_producer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FramesDataModule, "producers", lambda _: [plate_producer("static"), Brightness()])
    data = factory("davis", tmp_path)(store_dir=str(tmp_path / "store"), augment=False)
    data.setup("fit")
    batch: dict[str, Any] = {**data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)}
    assert torch.equal(batch["brightness"], batch["image"].amax(dim=1, keepdim=True)) and set(PLANES) <= batch.keys()
    assert contact_sheet(data, rows=1, columns=2, width=64).shape == (4 * 48, 2 * 64, 3)
