from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import VideosDataModule
from datamodules.videos import find_clips
from tests.fake_data import SIZE, draw_frame, write_images, write_masks, write_video, write_videos

pytestmark = pytest.mark.filterwarnings("ignore:Only .* training frames")


def videos(root: Path, **changes: object) -> VideosDataModule:
    return VideosDataModule(str(root), **{"image_size": SIZE, "num_workers": 0, **changes})  # type: ignore[arg-type]


def ready(root: Path, **changes: object) -> VideosDataModule:
    module = videos(root, **changes)
    module.setup()
    return module


def test_every_layout_is_found(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a" / "run10.mp4")
    write_video(tmp_path / "a" / "run9.mov")
    write_images(tmp_path / "b" / "left")
    write_images(tmp_path / "b" / "right")
    assert list(find_clips(video)) == ["run10"]
    assert list(find_clips(tmp_path / "a")) == ["run9", "run10"]
    assert list(find_clips(tmp_path / "b" / "left")) == ["left"]
    assert list(find_clips(tmp_path / "b")) == ["left", "right"]
    assert list(find_clips(write_videos(tmp_path / "c"))) == ["run1", "run2", "run3"]


def test_splits_file_is_followed(tmp_path: Path) -> None:
    module = ready(write_videos(tmp_path))
    assert [module.dataset(split).clip_names for split in ("train", "val", "test")] == [["run1"], ["run2"], ["run3"]]


def test_sparse_masks_keep_their_numbers(tmp_path: Path) -> None:
    module = ready(write_videos(tmp_path))
    for split, first in (("val", 1), ("test", 0)):  # run2: images from 1, run3: video from 0
        dataset = module.dataset(split)  # type: ignore[arg-type]
        samples = [dataset[i] for i in range(len(dataset))]
        assert [s["index"] for s in samples] == list(range(first, first + 6))
        assert [s["annotated"] for s in samples] == [True, False] * 3
        for frame in (0, 2, 4):
            assert np.array_equal(samples[frame]["mask"][0].numpy(), draw_frame(1 if split == "val" else 2, frame)[1])


def test_every_nth_keeps_annotated_frames(tmp_path: Path) -> None:
    write_images(tmp_path / "clips" / "run", frames=10)
    write_masks(tmp_path / "masks" / "run", frames=[4])
    dataset = ready(tmp_path, every_nth=3).dataset("test")
    assert [dataset[i]["index"] for i in range(len(dataset))] == [0, 3, 4, 6, 9]


def test_a_single_clip_serves_for_all_splits(tmp_path: Path) -> None:
    module = ready(write_video(tmp_path / "run.mp4"))
    assert all(module.dataset(split).clip_names == ["run"] for split in ("train", "val", "test"))


def test_whole_clips_are_held_out_annotated_ones_first(tmp_path: Path) -> None:
    for number in range(5):
        write_images(tmp_path / "clips" / f"run{number}", number)
    write_masks(tmp_path / "masks" / "run3", 3)
    module = ready(tmp_path)
    assert module.dataset("train").clip_names == ["run0", "run1", "run2", "run4"]
    assert module.dataset("val").clip_names == module.dataset("test").clip_names == ["run3"]
    assert len(ready(tmp_path, val_fraction=0.9).dataset("train").clips) == 1


def test_missing_splits_fall_back(tmp_path: Path) -> None:
    write_videos(tmp_path, splits=False)
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["run1"], "test": ["run2"]}))
    assert ready(tmp_path).dataset("val").clip_names == ["run2"]
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["run1"]}))
    assert ready(tmp_path).dataset("test").clip_names == ["run1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "must look like"),
        ('{"train": "run1"}', "must look like"),
        ('{"training": ["run1"]}', "only train, val and test"),
        ('{"train": ["run7"]}', "'run7'.*available: run1, run2, run3"),
        ('{"val": ["run1"]}', "train split of VideosDataModule is empty"),
    ],
)
def test_wrong_splits_files_are_explained(tmp_path: Path, content: str, message: str) -> None:
    write_videos(tmp_path, splits=False)
    (tmp_path / "splits.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        ready(tmp_path)


def test_wrong_roots_are_explained(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Nothing at"):
        ready(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="put videos"):
        ready(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match="no video file by its name"):
        ready(tmp_path / "notes.txt")
    write_images(tmp_path / "deep" / "er" / "run" / "left")
    with pytest.raises(FileNotFoundError, match=f"give {tmp_path / 'deep' / 'er' / 'run'} instead"):
        ready(tmp_path / "deep" / "er")
    write_video(tmp_path / "far" / "one" / "two" / "a.mp4")
    with pytest.raises(FileNotFoundError, match=f"give {tmp_path / 'far' / 'one' / 'two'} instead"):
        ready(tmp_path / "far")


def test_two_clips_of_one_name_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "run.mp4")
    write_images(tmp_path / "run")
    with pytest.raises(ValueError, match="both be clip 'run'"):
        ready(tmp_path)


def test_bad_masks_are_named(tmp_path: Path) -> None:
    root = write_videos(tmp_path, splits=False)
    stray = root / "masks" / "run3" / "000006.png"
    shutil.copy(root / "masks" / "run3" / "000000.png", stray)
    with pytest.raises(ValueError, match=r"mask for frame 6.*0 to 5.*counted from 0"):
        ready(root, val_fraction=0.5)
    stray.unlink()
    stray = root / "masks" / "run2" / "000009.png"
    shutil.copy(root / "masks" / "run2" / "000001.png", stray)
    with pytest.raises(ValueError, match=r"000009\.png belongs to no frame"):
        ready(root, val_fraction=0.5)
    stray.unlink()
    Image.new("L", (8, 8), 255).save(root / "masks" / "run2" / "000001.png")
    with pytest.raises(ValueError, match="8x8 pixels"):
        ready(root, val_fraction=0.5)


def test_unreadable_videos_are_named(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.mp4"):
        ready(tmp_path)
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["good", "bad"]}))
    with pytest.warns(UserWarning, match="1 clip skipped: see .*problems-videos.csv"):
        module = ready(tmp_path)
    assert module.dataset("train").clip_names == ["good"]
    assert [(p.clip, p.frame, "bad.mp4" in p.reason) for p in module.problems()] == [("bad", None, True)]


def test_poor_recordings_are_warned_about(tmp_path: Path) -> None:
    for frame in range(4):
        (tmp_path / "still").mkdir(exist_ok=True)
        Image.fromarray(draw_frame(0, 0)[0]).save(tmp_path / "still" / f"{frame}.png")
        (tmp_path / "masks" / "still").mkdir(exist_ok=True, parents=True)
        tiny = np.zeros(SIZE, np.uint8)
        tiny[5:8, 5:8] = 1
        Image.fromarray(tiny).save(tmp_path / "masks" / "still" / f"{frame}.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ready(tmp_path)
    text = " ".join(str(warning.message) for warning in caught)
    assert "Only 4 training frames" in text and "hardly differ" in text and "of the frame" in text


def test_portrait_video_is_read_upright(tmp_path: Path) -> None:
    module = ready(write_video(tmp_path / "phone.mp4", portrait=True), image_size=(64, 48), augment=False)
    image = module.dataset("train").clips[0].read([0])[0]
    assert np.abs(np.rot90(draw_frame(0, 0)[0], -1).astype(int) - image).mean() < 20


@pytest.mark.parametrize("wrong", [{"every_nth": 0}, {"val_fraction": 0.0}, {"val_fraction": 1.0}])
def test_arguments_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="every_nth must be"):
        videos(tmp_path, **wrong)
