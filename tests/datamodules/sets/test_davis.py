from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from datamodules import DavisDataModule
from datamodules.clips.problems import read_table
from datamodules.sets.davis import Davis
from tests.fake_data import SIZE, draw_frame, write_davis, write_davis_2017, write_images, write_masks

REAL = Path(__file__).resolve().parents[4] / "shared" / "davis"


def davis(root: Path, **changes: object) -> DavisDataModule:
    return DavisDataModule(str(root), **{"image_size": SIZE, "num_workers": 0, **changes})  # type: ignore[arg-type]


def test_official_lists_split_the_clips(tmp_path: Path) -> None:
    module = davis(write_davis(tmp_path))
    module.setup()
    assert sorted(module.dataset("train").clip_names + module.dataset("val").clip_names) == ["bear", "boat"]
    assert module.dataset("test").clip_names == ["camel"]
    assert module.dataset("val").masked_frames == module.dataset("test").masked_frames == 6


@pytest.mark.parametrize(("share", "clips"), [(0.0, 0), (0.1, 1), (0.4, 2), (0.99, 4)])
def test_a_share_of_the_training_list_validates_always_the_same(tmp_path: Path, share: float, clips: int) -> None:
    write_davis(tmp_path, train="abcde", val=["y", "z"], frames=1)
    modules = [davis(tmp_path, val_share=share) for _ in range(2)]
    for module in modules:
        module.setup()
    train, val, test = ([m.dataset(split).clip_names for m in modules] for split in ("train", "val", "test"))  # type: ignore[arg-type]
    assert val[0] == val[1] and len(val[0]) == clips
    assert sorted(train[0] + val[0]) == list("abcde") and test[0] == ["y", "z"]
    assert list(modules[0].val_dataloader()) == [] if share == 0 else next(iter(modules[0].val_dataloader()))


def test_without_anything_to_validate_on_the_stage_of_that_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="val split of DavisDataModule is empty"):
        davis(write_davis(tmp_path), val_share=0.0).setup("validate")
    with pytest.raises(ValueError, match=r"val_share of DavisDataModule is 1, expected a share in \[0, 1\)"):
        davis(tmp_path, val_share=1)


def test_a_clip_that_cannot_be_opened_is_not_drawn_for_validation(tmp_path: Path) -> None:
    for broken in ("bear", "boat", "cows"):
        root = write_davis(tmp_path / broken, train=["bear", "boat", "cows"], frames=1)
        (root / "JPEGImages" / "480p" / broken / "00000.jpg").unlink()
        module = davis(root)
        with pytest.warns(UserWarning, match="1 clip skipped"):
            module.setup()
        left = {name for split in ("train", "val") for name in module.dataset(split).clip_names}  # type: ignore[arg-type]
        assert left == {"bear", "boat", "cows"} - {broken} and len(module.dataset("val").clips) == 1


@pytest.mark.parametrize("year", ["2016", "2017"])
def test_lists_by_year_hold_names(tmp_path: Path, year: str) -> None:
    write_davis(tmp_path, lists=False)
    (tmp_path / "ImageSets" / year).mkdir(parents=True)
    (tmp_path / "ImageSets" / year / "train.txt").write_text("boat\n")
    (tmp_path / "ImageSets" / year / "val.txt").write_text("bear\ncamel\n")
    module = davis(tmp_path)
    module.setup()
    assert module.dataset("train").clip_names == ["boat"] and module.dataset("val").clip_names == []
    assert module.dataset("test").clip_names == ["bear", "camel"]


@pytest.mark.parametrize("gone", ["train.txt", "val.txt"])
def test_a_list_that_is_missing_among_others_is_explained(tmp_path: Path, gone: str) -> None:
    root = write_davis(tmp_path)
    (root / "ImageSets" / "480p" / gone).unlink()
    with pytest.raises(FileNotFoundError, match=rf"No {gone} in .*or name clips .*CLIPS.*: bear, boat, camel\."):
        davis(root).setup()


def test_every_year_keeps_its_list_of_problems(tmp_path: Path) -> None:
    root, store = write_davis_2017(tmp_path / "data"), tmp_path / "store"
    (root / "JPEGImages" / "480p" / "boat" / "00001.jpg").write_bytes(b"no image")  # trains in 2017 only
    (root / "JPEGImages" / "480p" / "bear" / "00002.jpg").write_bytes(b"no image")  # trains in both

    def listed(year: int) -> Path:
        return Path(davis(root, year=year, store_dir=str(store)).prepare().split(": see ")[1])

    newer, older = listed(2017), listed(2016)
    clips = [sorted(problem.clip for problem in read_table(file.read_text())) for file in (newer, older)]
    assert clips == [["bear", "boat"], ["bear"]]


def test_named_clips_train_and_test(tmp_path: Path) -> None:
    module = davis(write_davis(tmp_path), clips=["camel"])
    module.setup()
    assert all(module.dataset(split).clip_names == ["camel"] for split in ("train", "val", "test"))
    assert "mask" not in module.dataset("train")[0]
    assert module.dataset("train").clips[0] is module.dataset("test").clips[0]  # read once


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
    with pytest.raises(ValueError, match=r"frame 2 of clip 'camel' is 20x10.*frame is 64x48"):
        davis(root).setup("test")
    mask.unlink()
    broken = root / "JPEGImages" / "480p" / "camel" / "00003.jpg"
    broken.write_bytes(b"broken")
    module = davis(root)
    with pytest.warns(UserWarning, match="1 frame skipped in 1 clip: see"):
        module.setup("test")
    dataset = module.dataset("test")
    assert [int(dataset[n]["index"]) for n in range(len(dataset))] == [0, 1, 4, 5]  # no mask of frame 2, no frame 3
    assert [(p.clip, p.frame) for p in module.problems()] == [("camel", 3)]
    assert str(broken) in module.problems()[0].reason
    shutil.rmtree(root / "JPEGImages" / "480p" / "camel")
    (root / "JPEGImages" / "480p" / "camel").mkdir()
    with pytest.raises(ValueError, match=r"left in the test split.*1 clip skipped.*No image in .*camel"):
        davis(root).setup("test")


@pytest.mark.parametrize(("year", "test"), [(None, ["camel"]), (2016, ["camel"]), (2017, ["camel", "dogs"])])
def test_the_year_picks_the_lists(tmp_path: Path, year: int | None, test: list[str]) -> None:
    module = davis(write_davis_2017(tmp_path), year=year)
    module.setup("test")
    assert module.dataset("test").clip_names == test


def test_without_any_list_all_clips_serve_for_all_parts(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    shutil.rmtree(root / "ImageSets")
    data = davis(root)
    assert data.transductive
    names = [[clip.name for clip in data.data_set.split_clips(split)] for split in ("train", "val", "test")]
    assert names[0] == Davis(data.data_set.root).available_clips() and names[1] == names[2] == names[0]


def test_a_year_without_lists_is_explained(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No val\.txt of 2017 in .*ImageSets/2017: fetch the lists"):
        davis(write_davis(tmp_path), year=2017).setup("test")


def test_objects_are_joined_or_kept_apart(tmp_path: Path) -> None:
    write_davis_2017(tmp_path)
    counts = {}
    for object_id in (None, 1, 2):
        module = davis(tmp_path, year=2017, object_id=object_id, val_share=0)
        module.setup("test")
        dataset = module.dataset("test")
        counts[object_id] = [int(dataset[n]["mask"].sum()) for n in range(len(dataset)) if dataset[n]["clip"] == "dogs"]
        assert ("camel" in dataset.clip_names) == (object_id != 2)
        listed = [(problem.clip, problem.reason) for problem in module.problems()]
        assert listed == ([("camel", "no object 2 in its masks: not evaluated")] if object_id == 2 else [])
    assert counts[2] == [48] * 4
    assert counts[None] == [a + b for a, b in zip(counts[1], counts[2], strict=True)]


def corner() -> NDArray[np.bool_]:
    """Where the unsupervised masks have 255."""
    pixels = np.zeros(SIZE, dtype=bool)
    pixels[-4:, -4:] = True
    return pixels


@pytest.mark.parametrize("unsupervised", [False, True])
def test_objects_keep_their_numbers_where_asked(tmp_path: Path, unsupervised: bool) -> None:
    write_davis_2017(tmp_path)
    module = davis(tmp_path, year=2017, apart=True, unsupervised=unsupervised)
    module.setup("test")
    dataset = module.dataset("test")
    dogs = [sample for n in range(len(dataset)) if (sample := dataset[n])["clip"] == "dogs"]
    for frame, sample in enumerate(dogs):
        expected = draw_frame(3, frame)[1].astype(np.uint8)
        expected[:6, :8] = 2
        if unsupervised:
            expected[-4:, -4:] = 0  # unknown
            assert np.array_equal(np.argwhere(~sample["known"][0].numpy()), np.argwhere(corner()))
        assert np.array_equal(sample["objects"][0].numpy(), expected)
        assert torch.equal(sample["mask"], sample["objects"] > 0)
    with pytest.raises(ValueError, match="give one of the two"):
        davis(tmp_path, apart=True, object_id=1)


def test_pixels_with_255_in_unsupervised_masks_are_unknown(tmp_path: Path) -> None:
    write_davis_2017(tmp_path)
    module = davis(tmp_path, unsupervised=True)
    module.setup("test")
    for frame in range(4):
        sample = module.dataset("test")[frame]
        assert np.array_equal(sample["mask"][0].numpy(), draw_frame(2, frame)[1] & ~corner())
        assert np.array_equal(sample["known"][0].numpy(), ~corner())
    shutil.rmtree(tmp_path / "Annotations_unsupervised")
    with pytest.raises(FileNotFoundError, match="unpack the unsupervised masks"):
        davis(tmp_path, unsupervised=True).setup("test")


def test_object_numbers_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="object_id of Davis is 0, expected at least 1"):
        davis(tmp_path, object_id=0)
    root = write_davis_2017(tmp_path)
    mask = root / "Annotations" / "480p" / "camel" / "00000.png"
    Image.open(mask).convert("RGB").save(mask)
    with pytest.raises(ValueError, match=r"camel/00000\.png has colours instead of object numbers"):
        davis(root, object_id=1).setup("test")


@pytest.mark.parametrize("resolution", ["1080p", "Full-Resolution"])
def test_full_resolution_is_a_folder_of_its_own(tmp_path: Path, resolution: str) -> None:
    root = write_davis(tmp_path)
    write_images(root / "JPEGImages" / resolution / "camel", 2, 3, (96, 128))
    write_masks(root / "Annotations" / resolution / "camel", 2, range(3), (96, 128))
    module = davis(root, clips=["camel"], resolution=resolution, image_size=(96, 128))
    module.setup("test")
    assert np.array_equal(module.dataset("test")[1]["mask"][0].numpy(), draw_frame(2, 1, (96, 128))[1])


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no DAVIS at {REAL}")
def test_real_davis_reads() -> None:
    module = DavisDataModule(str(REAL), clips=["dance-twirl"], image_size=(90, 160), num_workers=0)
    module.setup("test")
    dataset = module.dataset("test")
    assert len(dataset) == dataset.masked_frames == 90
    share = np.mean([dataset[i]["mask"].float().mean().item() for i in range(0, 90, 10)])
    assert 0.02 < share < 0.5
