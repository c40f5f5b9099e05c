from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import RandomSampler, SequentialSampler

from datamodules import DavisDataModule, DemoDataModule, FramesDataModule, VideosDataModule
from datamodules.contact_sheet import contact_sheet
from datamodules.entry import StoredClip
from tests.fake_data import SIZE, write_davis, write_videos

Factory = Callable[..., FramesDataModule]


@pytest.fixture(scope="module", params=["demo", "davis", "videos"])
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Factory:
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "davis":
        write_davis(root)
    elif request.param == "videos":
        write_videos(root)

    def build(**changes: object) -> FramesDataModule:
        arguments: dict[str, object] = {"image_size": SIZE, "batch_size": 4, "num_workers": 0, **changes}
        if request.param == "davis":
            return DavisDataModule(str(root), **arguments)  # type: ignore[arg-type]
        if request.param == "videos":
            return VideosDataModule(str(root), **arguments)  # type: ignore[arg-type]
        counts = {"train_clips": 2, "val_clips": 1, "test_clips": 1, "frames_per_clip": 6}
        return DemoDataModule(store_dir=str(root), **counts, **arguments)  # type: ignore[arg-type]

    return build


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

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        self.train_images.append(batch["image"])
        return self.weight.sum()

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        self.val_images.append(batch["image"])

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
def test_batches_keep_the_contract(make: Factory, scale: float) -> None:
    module = ready(make, scale=scale)
    height, width = SIZE
    working = (round(height * scale), round(width * scale))
    assert module.working_size == working
    for split, loader in (
        ("train", module.train_dataloader()),
        ("val", module.val_dataloader()),
        ("test", module.test_dataloader()),
    ):
        loaded = next(iter(loader))
        assert loaded["image"].dtype == torch.uint8  # a quarter of the bytes on their way to the device
        batch = module.on_after_batch_transfer(loaded, 0)
        count = len(batch["image"])
        assert batch["image"].is_contiguous()
        assert batch["image"].dtype == torch.float32
        assert batch["image"].shape == (count, 3, *working)
        assert 0 <= batch["image"].min() and batch["image"].max() <= 1
        assert batch["image"].std() > 0.05
        assert isinstance(batch["clip"], list) and all(isinstance(name, str) for name in batch["clip"])
        assert batch["index"].dtype == torch.int64 and batch["index"].shape == (count,)
        if split == "train":
            assert set(batch) == {"image", "clip", "index"}
        else:
            assert set(batch) == {"image", "clip", "index", "mask", "annotated"}
            assert batch["mask"].dtype == torch.bool and batch["mask"].shape == (count, 1, *SIZE)
            assert batch["annotated"].dtype == torch.bool and batch["annotated"].shape == (count,)
            assert not batch["mask"][~batch["annotated"]].any()
            assert batch["mask"][batch["annotated"]].flatten(1).any(1).all()


def test_evaluation_walks_over_every_frame_in_order(make: Factory) -> None:
    module = ready(make)
    for loader in (module.val_dataloader(), module.test_dataloader()):
        seen = [(clip, int(i)) for batch in loader for clip, i in zip(batch["clip"], batch["index"], strict=True)]
        assert len(set(seen)) == len(seen) == len(loader.dataset)  # type: ignore[arg-type]
        assert [i for _, i in seen] == sorted(i for _, i in seen)  # one clip each


def test_only_training_is_shuffled_and_drops_the_rest(make: Factory) -> None:
    module = ready(make, batch_size=4)
    train = module.train_dataloader()
    assert isinstance(train.sampler, RandomSampler)
    assert {len(batch["image"]) for batch in train} == {4}
    for loader in (module.val_dataloader(), module.test_dataloader()):
        assert isinstance(loader.sampler, SequentialSampler) and not loader.drop_last


def test_a_short_training_set_still_gives_a_batch(make: Factory) -> None:
    module = ready(make, batch_size=1000)
    batches = list(module.train_dataloader())
    assert len(batches) == 1 and 0 < len(batches[0]["image"]) < 1000


def test_clips_of_training_and_test_differ(make: Factory) -> None:
    module = ready(make)
    assert not set(module.dataset("train").clip_names) & set(module.dataset("test").clip_names)


def test_augmentation_changes_training_frames_only(make: Factory) -> None:
    with_it, without = ready(make), ready(make, augment=False)
    stored, changed = without.dataset("train"), with_it.dataset("train")
    assert any(not torch.equal(stored[i]["image"], changed[i]["image"]) for i in range(4))
    assert torch.equal(stored[0]["image"], without.dataset("train")[0]["image"])
    for split in ("val", "test"):
        assert torch.equal(with_it.dataset(split)[0]["image"], without.dataset(split)[0]["image"])  # type: ignore[arg-type]


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


def test_a_batch_is_its_single_items(make: Factory) -> None:
    dataset = ready(make).dataset("test")
    batch = dataset.__getitems__([3, 1])
    for position, item in enumerate((3, 1)):
        for key, value in dataset[item].items():
            assert value == batch[key][position] if key == "clip" else torch.equal(value, batch[key][position])
    with pytest.raises(IndexError):
        dataset[len(dataset)]


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


def test_contact_sheet_shows_one_clip_per_row(make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    module = make()
    with pytest.raises(RuntimeError, match="no frames"):
        contact_sheet(module)
    module.setup("test")
    clips = len(module.dataset("test").clips)
    black = np.zeros((1, *SIZE, 3), np.uint8)
    monkeypatch.setattr(StoredClip, "read", lambda self, positions: black)
    sheet = contact_sheet(module, rows=4, columns=3, width=64)
    assert sheet.dtype == np.uint8 and sheet.shape == (clips * 48, 3 * 64, 3)
    assert (sheet > (150, 130, -1)).all(-1).any()  # the outline, on black frames


@pytest.mark.parametrize(
    "wrong",
    [{"image_size": (0, 64)}, {"scale": 0.0}, {"batch_size": 0}, {"store_limit_gb": 0.0}, {"min_frames": 0}],
)
def test_refuses_sizes_that_are_not_positive(make: Factory, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="positive"):
        make(**wrong)


def test_the_base_knows_no_clips(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError):
        FramesDataModule(SIZE).setup("test")
