from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import DavisDataModule
from tests.fake_data import SIZE, draw_frame, write_davis

REAL = Path(__file__).resolve().parents[3] / "shared" / "davis"


def davis(root: Path, **changes: object) -> DavisDataModule:
    return DavisDataModule(str(root), **{"image_size": SIZE, "num_workers": 0, **changes})  # type: ignore[arg-type]


def test_official_lists_split_the_clips(tmp_path: Path) -> None:
    module = davis(write_davis(tmp_path))
    module.setup()
    assert module.dataset("train").clip_names == ["bear", "boat"]
    assert module.dataset("val").clip_names == module.dataset("test").clip_names == ["camel"]
    assert module.dataset("val").annotated_frames == 6


@pytest.mark.parametrize("year", ["2016", "2017"])
def test_lists_by_year_hold_names(tmp_path: Path, year: str) -> None:
    write_davis(tmp_path, lists=False)
    (tmp_path / "ImageSets" / year).mkdir(parents=True)
    (tmp_path / "ImageSets" / year / "train.txt").write_text("boat\n")
    (tmp_path / "ImageSets" / year / "val.txt").write_text("bear\ncamel\n")
    module = davis(tmp_path)
    module.setup()
    assert module.dataset("train").clip_names == ["boat"]
    assert module.dataset("test").clip_names == ["bear", "camel"]


def test_without_lists_all_clips_serve_for_all(tmp_path: Path) -> None:
    module = davis(write_davis(tmp_path, lists=False))
    module.setup()
    assert all(module.dataset(split).clip_names == ["bear", "boat", "camel"] for split in ("train", "val", "test"))
    assert module.dataset("train").clips[0] is module.dataset("test").clips[0]  # read once


def test_named_clips_train_and_test(tmp_path: Path) -> None:
    module = davis(write_davis(tmp_path), clips=["camel"])
    module.setup()
    assert all(module.dataset(split).clip_names == ["camel"] for split in ("train", "val", "test"))
    assert "mask" not in module.dataset("train")[0]


def test_frames_and_masks_are_the_drawn_ones(tmp_path: Path) -> None:
    module = davis(write_davis(tmp_path))
    module.setup("test")
    for frame in range(6):
        sample = module.dataset("test")[frame]
        image, mask = draw_frame(2, frame)
        assert sample["index"] == frame
        assert np.array_equal(sample["mask"][0].numpy(), mask)
        assert np.abs(sample["image"].permute(1, 2, 0).numpy() / 255.0 - image / 255.0).mean() < 0.1


def test_palette_masks_join_all_objects(tmp_path: Path) -> None:
    write_davis(tmp_path)
    values = np.zeros(SIZE, np.uint8)
    values[:10, :10], values[20:30, 20:30] = 1, 2
    picture = Image.fromarray(values, mode="P")
    picture.putpalette([0, 0, 0, 0, 0, 0, 128, 0, 0])
    picture.save(tmp_path / "Annotations" / "480p" / "camel" / "00000.png")
    module = davis(tmp_path)
    module.setup("test")
    assert int(module.dataset("test")[0]["mask"].sum()) == 200


def test_clips_without_masks_give_batches_without(tmp_path: Path) -> None:
    write_davis(tmp_path)
    shutil.rmtree(tmp_path / "Annotations")
    module = davis(tmp_path)
    module.setup("test")
    assert set(module.dataset("test")[0]) == {"image", "clip", "index"}


def test_wrong_levels_of_the_tree_are_explained(tmp_path: Path) -> None:
    root = write_davis(tmp_path / "data" / "DAVIS")
    cases = {
        tmp_path / "none": r"No folder at .*none",
        root.parent: rf"give {root} as root",
        root / "JPEGImages" / "480p": rf"too deep.*give {root} as root",
        root / "JPEGImages" / "480p" / "bear": rf"too deep.*give {root} as root",
    }
    for path, message in cases.items():
        with pytest.raises(FileNotFoundError, match=message):
            davis(path).setup("test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="No JPEGImages in"):
        davis(tmp_path / "empty").setup("test")
    with pytest.raises(FileNotFoundError, match="set resolution to one of 480p"):
        davis(root, resolution="1080p").setup("test")


def test_unknown_clips_are_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'dog'.*available: bear, boat, camel"):
        davis(write_davis(tmp_path), clips=["dog"]).setup("fit")
    with pytest.raises(ValueError, match="train split of DavisDataModule is empty"):
        davis(tmp_path, clips=[]).setup("fit")


def test_bad_files_are_named(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    mask = root / "Annotations" / "480p" / "camel" / "00002.png"
    Image.new("L", (20, 10)).save(mask)
    with pytest.raises(ValueError, match=r"frame 2 of clip 'camel' is 20x10.*frames are 64x48"):
        davis(root).setup("test")
    mask.unlink()
    broken = root / "JPEGImages" / "480p" / "camel" / "00003.jpg"
    broken.write_bytes(b"broken")
    module = davis(root)
    with pytest.warns(UserWarning, match="1 frame skipped in 1 clip: see"):
        module.setup("test")
    assert [int(module.dataset("test")[item]["index"]) for item in range(5)] == [0, 1, 2, 4, 5]
    assert module.dataset("test").annotated_frames == 4  # no mask of frame 2, no frame 3
    assert [(p.clip, p.frame) for p in module.problems()] == [("camel", 3)]
    assert str(broken) in module.problems()[0].reason
    shutil.rmtree(root / "JPEGImages" / "480p" / "camel")
    (root / "JPEGImages" / "480p" / "camel").mkdir()
    with pytest.raises(ValueError, match=r"left in the test split.*1 clip skipped.*No image in .*camel"):
        davis(root).setup("test")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no DAVIS at {REAL}")
def test_real_davis_reads() -> None:
    module = DavisDataModule(str(REAL), clips=["dance-twirl"], image_size=(90, 160), num_workers=0)
    module.setup("test")
    dataset = module.dataset("test")
    assert len(dataset) == dataset.annotated_frames == 90
    share = np.mean([dataset[i]["mask"].float().mean().item() for i in range(0, 90, 10)])
    assert 0.02 < share < 0.5
