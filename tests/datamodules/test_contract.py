from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import SequentialSampler

from backdrop.contracts import validate_batch
from datamodules import FramesDataModule
from datamodules.clips.sampling import spread
from datamodules.clips.splits import SPLITS, Split
from datamodules.contact_sheet import contact_sheet
from datamodules.order import TrainingOrder
from datamodules.store.entry import StoredClip
from datamodules.store.store import FrameStore
from tests.fake_data import LAYOUTS, SIZE, write_images
from tests.layouts import Factory, ShortestDataModule, factory, on_disk

ANNOTATIONS = ("masks", "boxes", "Annotations", "MySegmentsMat", "Segmentation_masks", "Data")
ANNOTATIONS += ("groundtruth", "GroundTruth")
UNSPLIT = frozenset({"cdnet", "segtrack", "sbi"})
"""Benchmarks without a split: all clips train, without their masks, and test."""


@pytest.fixture(scope="module", params=["demo", "davis", "videos"])
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Factory:
    """What the base does for all is tried on three."""
    return factory(request.param, tmp_path_factory.mktemp(request.param))

@pytest.fixture(scope="module", params=["demo", "demo-2", "shortest", *LAYOUTS])
def every(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Factory:
    """What depends on the data set is tried on each layout."""
    return factory(request.param, tmp_path_factory.mktemp(request.param))


def ready(make: Factory, **changes: object) -> FramesDataModule:
    module = make(**changes)
    module.prepare_data()
    module.setup()
    return module


class Recorder(pl.LightningModule):
    """Keeps the batches it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.train_images: list[torch.Tensor] = []
        self.val_images: list[torch.Tensor] = []
        self.val_clips: list[str] = []

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        self.train_images.append(batch["image"])
        return self.weight.sum()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.val_images.append(batch["image"])
        self.val_clips += batch["clip"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: FramesDataModule) -> Recorder:
    pl.seed_everything(3)
    recorder = Recorder()
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(recorder, datamodule=module)
    return recorder


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_batches_keep_the_contract(every: Factory, scale: float) -> None:
    module = ready(every, scale=scale)
    height, width = SIZE
    working = (round(height * scale), round(width * scale))
    assert module.working_size == working
    for split, loader in (
        ("train", module.train_dataloader()),
        ("val", module.val_dataloader()),
        ("test", module.test_dataloader()),
    ):
        for loaded in loader:
            assert loaded["image"].dtype == torch.uint8  # a quarter of the bytes on their way to the device
            batch = module.on_after_batch_transfer(loaded, 0)
            validate_batch(batch, split)
            assert batch["image"].is_contiguous() and batch["image"].shape[2:] == working
            assert batch["image"].std() > 0.03
            used = torch.zeros(len(batch["image"]), dtype=torch.bool)
            if "mask" in batch:
                assert batch["mask"].shape[2:] == SIZE
                assert batch["mask"][batch["annotated"]].flatten(1).any(1).all()
                used |= batch["annotated"]
            if "box" in batch:
                known = batch["box"].isfinite().all(1)
                centre, extent = batch["box"][known].split(2, dim=1)
                assert ((centre - extent >= -1.001) & (centre + extent <= 1.001)).all()
                used |= known
            assert used.all() or not {"mask", "box"} & set(batch)  # annotated frames only, where there are any


def test_the_first_batch_of_every_loader_is_checked(make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("datamodules.base.validate_batch", lambda _, stage: seen.append(stage))
    fit(make(batch_size=2))
    assert seen == ["val", "train"]  # once each, however many batches there are
    monkeypatch.undo()
    module = make()
    monkeypatch.setattr(module, "device_augmentation", lambda image: image + 2)
    with pytest.raises(ValueError, match=r"The batch breaks the contract at 'image': expected values in \[0, 1\]"):
        fit(module)


def test_several_figures_are_told_apart(tmp_path: Path) -> None:
    module = ready(factory("demo-2", tmp_path))
    (batch,) = list(module.test_dataloader())[:1]
    assert set(batch["objects"].unique().tolist()) == {0, 1, 2}


def test_evaluation_walks_over_every_frame_in_order(every: Factory) -> None:
    module = ready(every)
    for loader in (module.val_dataloader(), module.test_dataloader()):
        seen = [(clip, int(i)) for batch in loader for clip, i in zip(batch["clip"], batch["index"], strict=True)]
        assert len(set(seen)) == len(seen) == len(loader.dataset)  # type: ignore[arg-type]
    for name in {clip for clip, _ in seen}:  # the test's; validation is spread
        numbers = [number for clip, number in seen if clip == name]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize(("batch_size", "limit"), [(8, 1), (3, 4), (1, 8)])
def test_a_limited_validation_sees_every_clip(tmp_path: Path, batch_size: int, limit: int) -> None:
    for clip in range(4):
        write_images(tmp_path / "val" / f"run{clip}", clip, frames=6)
    recorder = Recorder()
    trainer = pl.Trainer(accelerator="cpu", logger=False, limit_val_batches=limit, enable_progress_bar=False)
    data = ShortestDataModule(str(tmp_path), image_size=SIZE, batch_size=batch_size, num_workers=0)
    trainer.validate(recorder, data, verbose=False)
    seen = [recorder.val_clips.count(f"run{clip}") for clip in range(4)]
    assert sum(seen) == batch_size * limit and max(seen) <= 2 + min(seen) and min(seen) >= 1


@pytest.mark.parametrize(("count", "batch_size"), [(192, 16), (90, 16), (7, 16), (13, 1), (1000, 3)])
def test_every_beginning_of_the_validation_order_is_even(count: int, batch_size: int) -> None:
    order = spread(count, batch_size)
    assert sorted(order) == list(range(count))
    for batches in range(1, len(order) // batch_size + 1):
        seen = np.histogram(order[: batches * batch_size], bins=4, range=(0, count))[0]
        assert np.abs(seen - batches * batch_size / 4).max() <= 3


def recorded(module: FramesDataModule, split: Split) -> set[tuple[str, int]]:
    """(clip, frame) of all that a split holds; the part of a clip that was cut in time counts as the clip."""
    clips = module.dataset(split).clips
    assert len({clip.name for clip in clips}) == len(clips)
    return {(clip.name.split(" (")[0], number) for clip in clips for number in clip.frame_numbers.tolist()}


@pytest.mark.parametrize("options", [{}, {"val_share": 0.5}, {"held_out": 0.34}], ids=str)
def test_no_frame_of_a_clip_is_in_two_splits(
    request: pytest.FixtureRequest, every: Factory, options: dict[str, float]
) -> None:
    if request.node.callspec.params["every"] in UNSPLIT:
        pytest.skip("the benchmark has no split")
    module = ready(every, **options)
    train, val, test = (recorded(module, split) for split in SPLITS)
    assert train and val and test
    clips = [{clip for clip, _ in frames} for frames in (train, val, test)]
    assert len(set.union(*clips)) == sum(map(len, clips))  # not even a clip
    assert module.transductive is False


@pytest.mark.parametrize(
    ("layout", "below", "chosen"),
    [
        ("davis", "", {"clips": ["camel", "bear"]}),
        ("videos", "clips/run1.mp4", {}),
        *((layout, "", {}) for layout in sorted(UNSPLIT)),
    ],
)
def test_chosen_clips_are_in_all_splits_unless_they_are_cut_in_time(
    layout: str, below: str, chosen: dict[str, list[str]], tmp_path: Path
) -> None:
    factory(layout, tmp_path)
    build = partial(on_disk, layout, tmp_path / below, **chosen)
    module, cut = (ready(build, held_out=share) for share in (0.0, 0.34))
    assert recorded(module, "train") == recorded(module, "val") == recorded(module, "test")
    assert module.transductive is True
    train, val, test = (recorded(cut, split) for split in SPLITS)
    assert train and val and test and not (train & val or train & test or val & test)
    assert train | val | test == recorded(module, "train") and cut.transductive is False
    again = ready(build, held_out=0.34, evaluated_part="trained")
    assert recorded(again, "test") == train and again.transductive is True


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        (["camel"], "Transductive: clip 'camel' is trained on, without masks, and tested on: say so"),
        (["bear", "camel", "boat"], "Transductive: clip 'bear' and 2 more are trained on"),
        (None, ""),
    ],
)
def test_clips_in_all_splits_are_announced(
    clips: list[str] | None, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    factory("davis", tmp_path)
    with caplog.at_level("INFO", "datamodules"):
        ready(partial(on_disk, "davis", tmp_path), clips=clips)
    found = [line for line in caplog.messages if "ransductive" in line]
    assert len(found) == (1 if said else 0) and all(line.startswith(said) for line in found)


def test_training_needs_no_annotation(request: pytest.FixtureRequest, every: Factory, tmp_path: Path) -> None:
    name = request.node.callspec.params["every"]
    build = factory(name, tmp_path)
    removed = [path for part in ANNOTATIONS for path in tmp_path.rglob(part)]
    for path in removed:
        shutil.rmtree(path, ignore_errors=True)
    module = ready(build)
    assert len(module.dataset("train")) >= len(ready(every).dataset("train")) > 0
    if removed:
        assert set(module.dataset("test")[0]) == {"image", "clip", "index"}


def test_a_mistyped_option_is_refused(every: Factory) -> None:
    with pytest.raises(TypeError, match="batch_sise"):
        every(batch_sise=4)


def test_problems_name_clip_and_reason(every: Factory) -> None:
    module = ready(every)
    assert module.problems() == []
    module.findings.notice("run1", 3, "it is upside down")
    module.findings.notice("run1", 3, "it is upside down")
    assert [(p.clip, p.frame, p.reason) for p in module.problems()] == [("run1", 3, "it is upside down")]


def test_only_training_is_shuffled_and_drops_the_rest(make: Factory) -> None:
    module = ready(make, batch_size=4)
    train = module.train_dataloader()
    assert isinstance(train.sampler, TrainingOrder)
    assert {len(batch["image"]) for batch in train} == {4}
    for loader in (module.val_dataloader(), module.test_dataloader()):
        assert isinstance(loader.sampler, SequentialSampler) and not loader.drop_last 


def test_a_short_training_set_still_gives_a_batch(make: Factory) -> None:
    module = ready(make, batch_size=1000)
    batches = list(module.train_dataloader())
    assert len(batches) == 1 and 0 < len(batches[0]["image"]) < 1000


def test_augmentation_changes_training_frames_only(make: Factory) -> None:
    with_it, without = ready(make), ready(make, augment=False)
    stored, changed = without.dataset("train"), with_it.dataset("train")
    assert any(not torch.equal(stored[i]["image"], changed[i]["image"]) for i in range(4))
    assert torch.equal(stored[0]["image"], without.dataset("train")[0]["image"])
    for split in ("val", "test"):
        assert torch.equal(with_it.dataset(split)[0]["image"], without.dataset(split)[0]["image"])  # type: ignore[arg-type]


def test_frames_are_augmented_in_the_loader_unless_switched_off(make: Factory) -> None:
    module = ready(make, frame_augment=False)
    assert module.device_augmentation is not None
    assert torch.equal(ready(make, augment=False).dataset("train")[0]["image"], module.dataset("train")[0]["image"])


def test_device_augmentation_runs_in_training_only(make: Factory) -> None:
    both, loader_only, none = (fit(make(**switch)) for switch in ({}, {"device_augment": False}, {"augment": False}))
    assert both.train_images[0].shape == none.train_images[0].shape
    assert not torch.equal(both.train_images[0], loader_only.train_images[0])
    assert torch.equal(both.val_images[0], none.val_images[0])
    assert both.train_images[0].min() >= 0 and both.train_images[0].max() <= 1


@pytest.mark.parametrize("workers", [0, 2])
def test_the_global_seed_fixes_every_batch(make: Factory, workers: int) -> None:
    first, again = (fit(make(num_workers=workers)).train_images for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_workers_draw_different_augmentations(make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ready(make, num_workers=2, batch_size=1, device_augment=False)
    frame = module.dataset("train").clips[0].read([0])[0]

    def equal(self: StoredClip, position: int, out: np.ndarray) -> None:
        out[...] = frame  # whatever differs is augmentation

    monkeypatch.setattr(StoredClip, "read_into", equal)
    loader = module.train_dataloader()
    epochs = [[batch["image"].numpy().tobytes() for batch in loader] for _ in range(2)]
    drawn = epochs[0] + epochs[1]
    assert len(set(drawn)) > 0.6 * len(drawn)  # a quarter keeps its colours and is mirrored or not: few looks


def test_a_batch_is_its_single_items(every: Factory) -> None:
    dataset = ready(every).dataset("test")
    batch = dataset.__getitems__([1, 0])
    for position, item in enumerate((1, 0)):
        for key, value in dataset[item].items():
            assert value == batch[key][position] if key == "clip" else value.equal(batch[key][position])
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_every_stage_reads_what_was_prepared(every: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every(store_dir=str(tmp_path)).prepare()
    monkeypatch.setattr(FrameStore, "write", lambda *_, **__: pytest.fail("decoded again"))
    for stage in ("fit", "validate", "test", None):
        every(store_dir=str(tmp_path)).setup(stage)


def test_setup_reads_only_what_a_stage_needs_and_only_once(make: Factory) -> None:
    module = make()
    module.prepare_data()
    module.setup("test")
    with pytest.raises(RuntimeError, match="call setup"):
        module.dataset("train")
    before = module.dataset("test")
    module.setup("test")
    assert module.dataset("test") is before
    module.setup("predict")


def test_contact_sheet_shows_one_clip_per_row(every: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    module = every()
    with pytest.raises(RuntimeError, match="no frames"):
        contact_sheet(module)
    module.setup("test")
    dataset = module.dataset("test")
    black = np.zeros((1, *SIZE, 3), np.uint8)
    monkeypatch.setattr(StoredClip, "read", lambda self, positions: black)
    sheet = contact_sheet(module, rows=4, columns=3, width=64)
    assert sheet.dtype == np.uint8 and sheet.shape == (min(4, len(dataset.clips)) * 48, 3 * 64, 3)
    outline = (sheet > (150, 130, -1)).all(-1) & (sheet[..., 2] < 60)  # on black frames
    assert outline.any() == (dataset.masks is not None)
    assert (sheet == (0, 220, 255)).all(-1).any() == (dataset.boxes is not None)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"image_size": (0, 64)}, r"image_size of \w+DataModule is \(0, 64\), expected at least 1"),
        ({"image_size": (48, 64, 3)}, "expected a height and a width"),
        ({"scale": 0.0}, "scale of .* is 0.0, expected above 0"),
        ({"batch_size": 0}, "batch_size of .* expected at least 1"),
        ({"num_workers": -1}, "num_workers of .* expected at least 0"),
        ({"store_limit_gb": 0.0}, "store_limit_gb of .* expected above 0"),
        ({"store_codec": "png"}, "store_codec of .* is png, expected auto, raw or jpeg"),
        ({"min_frames": 0}, "min_frames of .* expected at least 1"),
        ({"plates": "moving"}, "plates of .* is moving, expected null, static or temporal"),
        ({"plate_evidence": "most"}, "plate_evidence of .* expected measured, agreed, one_subject or appearance"),
        ({"held_out": 1.0}, r"held_out of .* is 1.0, expected a share in \[0, 1\)"),
        ({"val_share": -0.1}, r"val_share of .* is -0.1, expected a share in \[0, 1\)"),
        ({"evaluated_part": "all"}, "evaluated_part of .* expected held_out or trained"),
    ],
)
def test_an_argument_out_of_range_is_refused_before_anything_is_read(
    make: Factory, wrong: dict[str, object], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        make(**wrong)


def test_the_base_has_no_data_set() -> None:
    with pytest.raises(AttributeError, match="data_set"):
        FramesDataModule(SIZE).setup("test")
