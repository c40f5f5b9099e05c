from __future__ import annotations

import json
import shutil
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from datamodules import VideosDataModule
from datamodules.clips.splits import Split
from datamodules.sets.recordings import find_clips
from datamodules.sets.videos import Videos
from tests.fake_data import (
    SIZE,
    centre_box,
    draw_frame,
    write_boxes,
    write_gif,
    write_images,
    write_masks,
    write_video,
    write_videos,
)

pytestmark = pytest.mark.filterwarnings("ignore:Only .* training frames")


def videos(root: Path, **changes: object) -> VideosDataModule:
    return VideosDataModule(str(root), **{"image_size": SIZE, "num_workers": 0, **changes})  # type: ignore[arg-type]


def ready(root: Path, **changes: object) -> VideosDataModule:
    module = videos(root, **changes)
    module.setup()
    return module


def numbers(module: VideosDataModule, split: Split) -> list[int]:
    dataset = module.dataset(split)
    return [int(dataset[i]["index"]) for i in range(len(dataset))]


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
        assert [s["index"] for s in samples] == [first, first + 2, first + 4]
        assert all(s["annotated"] for s in samples)
        for sample, frame in zip(samples, (0, 2, 4), strict=True):
            assert np.array_equal(sample["mask"][0].numpy(), draw_frame(1 if split == "val" else 2, frame)[1])


def test_every_nth_keeps_annotated_frames(tmp_path: Path) -> None:
    write_images(tmp_path / "clips" / "run", frames=10)
    write_masks(tmp_path / "masks" / "run", frames=[4])
    module = ready(tmp_path, every_nth=3)
    assert numbers(module, "train") == [0, 3, 4, 6, 9] and numbers(module, "test") == [4]


def test_a_single_clip_serves_for_all_splits(tmp_path: Path) -> None:
    module = ready(write_video(tmp_path / "run.mp4"))
    assert all(module.dataset(split).clip_names == ["run"] for split in ("train", "val", "test"))


def test_clips_that_are_named_serve_for_all_splits(tmp_path: Path) -> None:
    root = write_videos(tmp_path)  # its splits.json lists each clip once
    assert Videos(root).available_clips() == ["run1", "run2", "run3"]
    module = ready(root, clips=["run2"])
    assert all(module.dataset(split).clip_names == ["run2"] for split in ("train", "val", "test"))
    assert module.transductive
    with pytest.raises(ValueError, match="Clip 'no-clip' of the argument clips does not exist; available: run1"):
        ready(root, clips=["no-clip"])


def test_whole_clips_are_held_out_annotated_ones_first(tmp_path: Path) -> None:
    for number in range(5):
        write_images(tmp_path / "clips" / f"run{number}", number)
    write_masks(tmp_path / "masks" / "run3", 3)
    module = ready(tmp_path)
    assert module.dataset("train").clip_names == ["run1", "run2", "run4"]
    assert module.dataset("val").clip_names == ["run0"] and module.dataset("test").clip_names == ["run3"]
    assert len(ready(tmp_path, val_fraction=0.9).dataset("train").clips) == 1


@pytest.mark.parametrize(
    ("count", "share", "val", "test"),
    [(2, 0.2, "", "0"), (3, 0.2, "1", "0"), (3, 0.9, "1", "0"), (4, 0.9, "1", "02"), (20, 0.2, "1 3", "0 2")],
)
def test_validation_and_test_have_no_clip_in_common(
    tmp_path: Path, count: int, share: float, val: str, test: str
) -> None:
    names = [str(number) for number in range(count)]
    splits = Videos(tmp_path, val_fraction=share)._proposed(names)
    assert splits["val"] == list(val.replace(" ", "")) and splits["test"] == list(test.replace(" ", ""))
    assert splits["train"] == [name for name in names if name not in val + test]


@pytest.mark.parametrize("held", ["val", "test"])
def test_where_one_held_out_list_is_given_it_tests_and_training_clips_validate(tmp_path: Path, held: str) -> None:
    write_videos(tmp_path, clips=4, splits=False)
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["run1", "run3", "run4"], held: ["run2"]}))
    module = ready(tmp_path)
    assert module.dataset("test").clip_names == ["run2"] and len(module.dataset("val").clips) == 1
    left = module.dataset("train").clip_names + module.dataset("val").clip_names
    assert sorted(left) == ["run1", "run3", "run4"] and module.transductive is False
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["run1"], held: ["run2"]}))
    assert ready(tmp_path).dataset("val").clip_names == []  # never all


def test_what_is_listed_for_training_only_serves_for_all(tmp_path: Path) -> None:
    write_videos(tmp_path, masks=False, splits=False)
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["run1", "run2"]}))
    module = ready(tmp_path)
    assert all(module.dataset(split).clip_names == ["run1", "run2"] for split in ("train", "val", "test"))
    assert module.transductive is True


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


def test_two_clips_of_one_name_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "run.mp4")
    write_images(tmp_path / "run")
    with pytest.raises(ValueError, match="both be clip 'run'"):
        ready(tmp_path)


def test_bad_masks_are_named(tmp_path: Path) -> None:
    root = write_videos(tmp_path, splits=False)
    stray = root / "masks" / "run3" / "000006.png"
    shutil.copy(root / "masks" / "run3" / "000000.png", stray)
    with pytest.raises(ValueError, match=r"mask for frame 6, but no such frame.*counted from 0"):
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


def test_unreadable_videos_are_left_out_and_listed(tmp_path: Path) -> None:
    for number, name in enumerate(("a.mp4", "b.mp4", "d.mp4", "e.mp4")):
        write_video(tmp_path / name, number)
    (tmp_path / "c.mp4").write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="1 clip skipped: see .*problems-videos-.*csv"):
        module = ready(tmp_path)
    assert [(problem.clip, problem.frame) for problem in module.problems()] == [("c", None)]
    assert "c.mp4" in module.problems()[0].reason
    (tmp_path / "only").mkdir()
    (tmp_path / "c.mp4").rename(tmp_path / "only" / "c.mp4")
    with pytest.raises(ValueError, match=r"left in the train split .*\(1 clip skipped\).*c\.mp4"):
        ready(tmp_path / "only")


@pytest.mark.parametrize("broken", ["a", "b", "c"])
def test_a_truncated_recording_is_left_out_before_the_split(tmp_path: Path, broken: str) -> None:
    for number, name in enumerate("abc"):
        write_video(tmp_path / f"{name}.mp4", number, frames=30)
    video = tmp_path / f"{broken}.mp4"
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])  # its index is at the end, and gone
    test, train = sorted({"a", "b", "c"} - {broken})
    with pytest.warns(UserWarning, match="1 clip skipped: see"):
        module = ready(tmp_path)
    found = [module.dataset(split).clip_names for split in ("train", "val", "test")]
    assert found == [[train], [], [test]] and len(module.dataset("train")) == 30
    assert [(problem.clip, problem.frame) for problem in module.problems()] == [(broken, None)]
    (tmp_path / f"{train}.mp4").unlink()
    with pytest.warns(UserWarning, match="1 clip skipped: see"):
        left = ready(tmp_path)
    assert {name for split in ("train", "val", "test") for name in left.dataset(split).clip_names} == {test}


@pytest.mark.parametrize("options", [{}, {"every_nth": 2}])
def test_short_clips_are_left_out_before_the_split(tmp_path: Path, options: dict[str, int]) -> None:
    for number, (name, frames) in enumerate((("a", 6), ("b", 7), ("c", 40), ("d", 40), ("e", 40))):
        write_video(tmp_path / f"{name}.mp4", number, frames)
    module = ready(tmp_path, min_frames=8 // options.get("every_nth", 1) + 1, **options)
    assert [module.dataset(split).clip_names for split in ("train", "val", "test")] == [["e"], ["d"], ["c"]]
    assert [(problem.clip, problem.frame) for problem in module.problems()] == [("a", None), ("b", None)]
    assert all("of at least" in problem.reason for problem in module.problems())


def test_a_splits_file_stays_as_given_where_a_clip_is_broken(tmp_path: Path) -> None:
    for name in "abc":
        write_video(tmp_path / f"{name}.mp4")
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["a"], "val": ["b"], "test": ["c"]}))
    with pytest.raises(ValueError, match=r"left in the train split .*a\.mp4"):
        ready(tmp_path)


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


@pytest.mark.parametrize("wrong", [{"every_nth": 0}, {"val_fraction": -0.1}, {"val_fraction": 1.0}])
def test_arguments_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} of Videos is .*, expected"):
        videos(tmp_path, **wrong)


def test_clips_are_found_however_deep_and_listed_by_folder(tmp_path: Path) -> None:
    for number, name in enumerate(("monday/run1", "monday/left/run2", "tuesday/run1")):
        write_video(tmp_path / "clips" / f"{name}.mp4", number)
        write_masks(tmp_path / "masks" / name, number, frames=[1], pattern="{:06d}.png")
    write_boxes(tmp_path / "boxes" / "tuesday" / "run1.csv", 2, frames=[2])
    (tmp_path / "clips" / ".trash").mkdir()
    write_video(tmp_path / "clips" / ".trash" / "old.mp4")
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["monday"], "test": ["tuesday"]}))
    module = ready(tmp_path)
    monday = module.dataset("train").clip_names + module.dataset("val").clip_names
    assert sorted(monday) == ["monday/left/run2", "monday/run1"]
    assert numbers(module, "test") == [1, 2]
    assert module.problems() == []


def test_a_link_that_leads_back_up_is_not_followed(tmp_path: Path) -> None:
    write_images(tmp_path / "a" / "run")
    (tmp_path / "a" / "back").symlink_to(tmp_path / "a")
    write_images(tmp_path / "b")
    (tmp_path / "a" / "linked").symlink_to(tmp_path / "b")
    assert list(find_clips(tmp_path / "a")) == ["linked", "run"]


def test_boxes_of_a_table_are_evaluated(tmp_path: Path) -> None:
    for number in (0, 1):
        write_images(tmp_path / "clips" / f"run{number}", number, first=1)
    write_boxes(tmp_path / "boxes" / "run1.csv", 1, frames=[0, 3], first=1)
    module = ready(tmp_path)
    dataset = module.dataset("test")
    assert dataset.clip_names == ["run1"] and numbers(module, "test") == [1, 4]
    for item, frame in enumerate((0, 3)):
        assert set(dataset[item]) == {"image", "clip", "index", "box"}
        assert dataset[item]["box"].tolist() == pytest.approx(centre_box(draw_frame(1, frame)[1]), abs=1e-6)


def test_frames_with_a_mask_or_a_box_are_evaluated(tmp_path: Path) -> None:
    write_images(tmp_path / "clips" / "run")
    write_masks(tmp_path / "masks" / "run", frames=[1, 2])
    write_boxes(tmp_path / "boxes" / "run.csv", frames=[2, 4])
    dataset = ready(tmp_path).dataset("test")
    samples = [dataset[n] for n in range(len(dataset))]
    assert [s["index"] for s in samples] == [1, 2, 4]
    assert [s["annotated"] for s in samples] == [True, True, False]
    assert [bool(s["box"].isfinite().all()) for s in samples] == [False, True, True]
    assert (dataset.masked_frames, dataset.boxed_frames) == (2, 2)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("frame,x0,y0,x1\n", r"run\.csv has no column y1"),
        ("frame,x0,y0,x1,y1\n1,2,3,4,5\n2,2,x,4,5\n", r"Line 3 of .*run\.csv is no frame and box"),
        ("frame,x0,y0,x1,y1\n1,2,3,4\n", r"run\.csv is damaged, .* \(line 2 has 4 cells, its first line 5\): mend it"),
        ("frame,x0,y0,x1,y1\n1,2,3,4,5\n1,2,3,4,5\n", r"Line 3 of .*run\.csv gives frame 1 a second box"),
        ("frame,x0,y0,x1,y1\n1,4,3,2,5\n", r"box of frame 1 of clip 'run' is \(4, 3, 2, 5\).*64x48"),
        ("frame,x0,y0,x1,y1\n1,70,3,80,5\n", r"box of frame 1 of clip 'run' is"),
        ("frame,x0,y0,x1,y1\n1,2,3,4,5\n9,2,3,4,5\n", r"Clip 'run' has a box for frame 9, but no such frame"),
    ],
)
def test_bad_tables_of_boxes_are_named(tmp_path: Path, lines: str, message: str) -> None:
    write_images(tmp_path / "clips" / "run")
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes" / "run.csv").write_text(lines)
    with pytest.raises(ValueError, match=message):
        ready(tmp_path)


def test_annotation_of_no_clip_is_listed(tmp_path: Path) -> None:
    root = write_videos(tmp_path)
    write_masks(root / "masks" / "run7")
    write_boxes(root / "boxes" / "run8.csv")
    module = ready(root)
    assert [problem.clip for problem in module.problems()] == ["run7", "run8"]
    assert all("belongs to no clip" in problem.reason for problem in module.problems())


def test_only_annotated_frames_of_a_test_clip_are_read(tmp_path: Path) -> None:
    for number in (0, 1):
        write_images(tmp_path / "clips" / f"run{number}", number)
    write_masks(tmp_path / "masks" / "run1", 1, frames=[3])
    module = ready(tmp_path)
    assert [len(module.dataset(split)) for split in ("train", "val", "test")] == [6, 0, 1]
    assert len(module.dataset("test").clips[0]) == 1


def test_a_single_annotated_clip_is_read_once(tmp_path: Path) -> None:
    write_images(tmp_path / "clips" / "run")
    write_masks(tmp_path / "masks" / "run", frames=[3])
    module = videos(tmp_path)
    module.setup("fit")
    module.setup("test")
    assert numbers(module, "train") == list(range(6)) and numbers(module, "test") == [3]
    assert module.dataset("train").clips[0] is module.dataset("test").clips[0]
    other = videos(tmp_path)
    other.setup("test")
    other.setup("fit")
    assert numbers(other, "train") == list(range(6)) and numbers(other, "test") == [3]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "avi", "mkv", "webm", "gif"])
def test_every_container_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    write_gif(path) if suffix == "gif" else write_video(path, codec="libvpx-vp9" if suffix == "webm" else "libx264")
    module = ready(path, augment=False, fps=5.0)
    assert numbers(module, "train") == [0, 2, 4]  # of 10 frames a second
    for image, frame in zip(module.dataset("train").clips[0].read(range(3)), (0, 2, 4), strict=True):
        assert np.abs(image.astype(int) - draw_frame(0, frame)[0]).mean() < 25


def test_a_variable_rate_is_sampled_by_time(tmp_path: Path) -> None:
    # shown from 0, 0.1, 0.2, 0.3, 1.3, 1.5 s
    write_gif(tmp_path / "run.gif", durations=(100, 100, 100, 1000, 200, 100))
    assert numbers(ready(tmp_path), "train") == list(range(6))
    assert numbers(ready(tmp_path, fps=1.0), "train") == [0, 4]
    assert numbers(ready(tmp_path, fps=5.0), "train") == [0, 2, 4, 5]
    assert numbers(ready(tmp_path, fps=100.0), "train") == list(range(6))
    assert numbers(ready(tmp_path, time_ranges={"run": [(0.1, 0.3), (1.4, 9.0)]}), "train") == [1, 2, 5]
    assert numbers(ready(tmp_path, time_ranges={"run": [(0.1, 0.4)]}, every_nth=2), "train") == [1, 3]


def test_sampling_keeps_annotated_frames_of_the_range(tmp_path: Path) -> None:
    write_video(tmp_path / "clips" / "run.mp4", frames=10)
    write_masks(tmp_path / "masks" / "run", frames=[1, 3, 8], pattern="{:06d}.png")
    module = ready(tmp_path, fps=5.0, time_ranges={"run": [(0.0, 0.55)]})
    assert numbers(module, "train") == [0, 1, 2, 3, 4] and numbers(module, "test") == [1, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0.0}, "fps of Videos is 0.0, expected above 0"),
        ({"fps": 5.0, "every_nth": 2}, "every_nth of Videos is 2, expected 1 where fps is given"),
        ({"time_ranges": {"run": [(2.0, 1.0)]}}, "clip 'run' is 2 to 1 s: it must go forward"),
        ({"time_ranges": {"walk": [(0.0, 1.0)]}}, "names clip 'walk', but there are only run"),
        ({"time_ranges": {"run": [(7.0, 8.0)]}}, r"No frame of clip 'run' is in its time_ranges: it lasts 0\.5 s"),
    ],
)
def test_wrong_samplings_are_explained(tmp_path: Path, options: dict[str, object], message: str) -> None:
    write_video(tmp_path / "run.mp4")
    with pytest.raises(ValueError, match=message):
        ready(tmp_path, **options)


def test_images_have_no_time_stamps(tmp_path: Path) -> None:
    write_images(tmp_path / "run")
    with pytest.raises(ValueError, match="folder of images and has no time stamps: sample it by every_nth"):
        ready(tmp_path, fps=5.0)


@pytest.mark.parametrize("suffix", ["ts", "m2ts", "3gp", "flv", "mxf", "vob", "ogv", "m2v"])
def test_what_decodes_is_taken_whatever_its_container(tmp_path: Path, suffix: str) -> None:
    codecs = {"ogv": "libtheora", "vob": "mpeg2video", "mxf": "mpeg2video", "m2v": "mpeg2video"}
    if codecs.get(suffix, "libx264") not in av.codecs_available:
        pytest.skip(f"this FFmpeg cannot write .{suffix}")
    path = write_video(tmp_path / f"run.{suffix}", codec=codecs.get(suffix, "libx264"), rate=25)
    module = ready(path, augment=False)
    assert numbers(module, "train") == list(range(6)) and module.problems() == []


def test_what_is_left_out_for_its_suffix_is_listed(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    for name in ("b.heic", "deep/c.HEIC", "d.braw", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"content")
    write_video(tmp_path / "deep" / "e.mp4", 1)
    reasons = {problem.clip: problem.reason for problem in ready(tmp_path).problems()}
    assert set(reasons) == {".heic", ".braw"}
    assert f"2 files left out for the suffix .heic, such as {tmp_path / 'b.heic'}" in reasons[".heic"]


@pytest.mark.parametrize("below", ["", "clips", "deep"])
def test_a_root_of_nothing_but_other_suffixes_names_them(tmp_path: Path, below: str) -> None:
    (tmp_path / below).mkdir(exist_ok=True)
    for name in ("a.heic", "b.HEIC", "c.braw", "notes.txt"):
        (tmp_path / below / name).write_bytes(b"content")
    with pytest.raises(FileNotFoundError, match=r"\(but 2 \.heic files, 1 \.braw file, which are not read\): put"):
        Videos(tmp_path).split_clips("train")


@pytest.mark.parametrize(
    ("pixel", "wanted", "stretched"),
    [("4/3", (36, 64), None), ("4/3", (48, 64), "85x48"), ("1", (48, 64), None), ("1", (36, 64), "64x48")],
)
def test_the_shape_that_is_seen_says_whether_frames_are_stretched(
    tmp_path: Path, pixel: str, wanted: tuple[int, int], stretched: str | None
) -> None:
    """64x48 pixels of 4:3 are seen as 16:9, as of a camcorder."""
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(pixel)
        file.mux([*stream.encode(av.VideoFrame.from_ndarray(draw_frame(0, 0)[0], format="rgb24")), *stream.encode()])
    data_set = Videos(tmp_path, image_size=wanted)
    data_set.split_clips("train")
    found = [line for line in data_set.findings.said if "stretched" in line]
    assert (stretched is None and not found) or (stretched is not None and f"the shape {stretched} and" in found[0])


def test_clips_that_are_links_to_nothing_are_listed(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "annex" / "b.mp4")
    (tmp_path / "c").symlink_to(tmp_path / "annex" / "c")
    module = ready(tmp_path)
    assert {problem.clip for problem in module.problems()} == {"b", "c"}
    assert all("a link that leads nowhere: fetch what it points to" in p.reason for p in module.problems())
    assert "2 clips skipped" in module.skipped()
