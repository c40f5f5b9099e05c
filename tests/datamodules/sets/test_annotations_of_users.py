"""Masks, boxes and splits as other tools write them: on the right frame, or refused, or said.

The right values come from how the files are made here: the subject of frame i stands at a place that tells i.
"""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from datamodules import VideosDataModule
from datamodules.clips.annotations import read_boxes
from datamodules.clips.splits import SPLITS
from datamodules.readers import numbers_in_names, read_mask
from datamodules.sets.videos import Videos
from tests.fake_data import SIZE, write_images, write_masks, write_video

pytestmark = pytest.mark.filterwarnings("ignore:Only .* training frames", "ignore:VideosDataModule.* problem")


def shape(frame: int) -> np.ndarray:
    """The mask of a frame; its left edge tells which."""
    mask = np.zeros(SIZE, np.uint8)
    mask[10:30, 5 + 3 * frame : 17 + 3 * frame] = 255
    return mask


def save_masks(folder: Path, names: Iterable[tuple[str, int]]) -> None:
    folder.mkdir(parents=True)
    for name, frame in names:
        Image.fromarray(shape(frame)).save(folder / name)


def frames_of_masks(root: Path) -> dict[int, int]:
    """Frame number -> frame whose mask it has."""
    clips = Videos(root).split_clips("test")
    return {n: (int(np.flatnonzero(read().any(0))[0]) - 5) // 3 for clip in clips for n, read in clip.masks.items()}


def problems(root: Path) -> str:
    module = VideosDataModule(str(root), image_size=SIZE, num_workers=0)
    module.setup()
    return " ".join(problem.reason for problem in module.problems())


@pytest.mark.parametrize("pattern", ["{:06d}.png", "{:06d}_v2.png", "mask_{:d}.png", "{:05d}.png"])
def test_masks_are_of_the_frame_whose_number_they_hold(tmp_path: Path, pattern: str) -> None:
    write_images(tmp_path / "clips" / "a")
    save_masks(tmp_path / "masks" / "a", [(pattern.format(frame), frame) for frame in (0, 2, 5)])
    assert frames_of_masks(tmp_path) == {0: 0, 2: 2, 5: 5}


def test_a_single_mask_of_a_video_may_begin_with_the_clip_s_name(tmp_path: Path) -> None:
    write_video(tmp_path / "clips" / "run1.mp4")
    save_masks(tmp_path / "masks" / "run1", [("run1_000003.png", 3)])
    assert frames_of_masks(tmp_path) == {3: 3}


@pytest.mark.parametrize(
    "names",
    [
        [f"task-{i + 1}-annotation-{i + 11}-by-1-tag-person-0.png" for i in range(3)],  # Label Studio's export
        [f"{i:06d}_{which}.png" for i in (2, 4) for which in (1, 2)],  # one file for an object
        ["000002.png", "000002_v2.png", "000004_v2.png"],
        ["2.png", "002.png"],
        ["frame_1.png", "image_2.png"],
        ["subject.png"],
        ["1_2.png"],
    ],
)
def test_masks_whose_names_do_not_tell_the_frame_are_refused(tmp_path: Path, names: list[str]) -> None:
    write_images(tmp_path / "clips" / "a")
    save_masks(tmp_path / "masks" / "a", [(name, 0) for name in names])
    with pytest.raises(ValueError, match=r"(do not tell their frames|are both masks of frame 2)"):
        frames_of_masks(tmp_path)


def test_numbers_in_names_are_those_that_vary() -> None:
    assert numbers_in_names(["cam2_007_v1", "cam2_011_v1"]) == [7, 11]
    assert numbers_in_names(["x3"]) == [3]
    with pytest.raises(ValueError, match="differ in no numbers"):
        numbers_in_names(["a1", "a1"])


def test_boxes_and_masks_are_measured_by_their_own_frame(tmp_path: Path) -> None:
    sizes, rows = [(48, 64), (24, 32), (64, 48)], ["frame,x0,y0,x1,y1"]
    for folder in ("clips/a", "masks/a", "boxes"):
        (tmp_path / folder).mkdir(parents=True)
    for number, (height, width) in enumerate(sizes):
        Image.new("RGB", (width, height)).save(tmp_path / "clips" / "a" / f"{number:03d}.png")
        Image.new("L", (width, height), 255).save(tmp_path / "masks" / "a" / f"{number:03d}.png")
        rows.append(f"{number},{width // 2},{height // 2},{width * 3 // 4},{height * 3 // 4}")
    (tmp_path / "boxes" / "a.csv").write_text("\n".join(rows))
    module = VideosDataModule(str(tmp_path), image_size=SIZE, num_workers=0)
    module.setup("test")
    dataset = module.dataset("test")
    assert [dataset[i]["box"].tolist() for i in range(3)] == [[0.25] * 4] * 3
    assert all(dataset[i]["mask"].all() for i in range(3))


def test_a_frame_that_is_turned_by_its_tag_is_measured_upright(tmp_path: Path) -> None:
    (tmp_path / "clips" / "a").mkdir(parents=True)
    (tmp_path / "boxes").mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right, by the EXIF standard
    Image.new("RGB", (64, 48)).save(tmp_path / "clips" / "a" / "0.jpg", exif=turned)
    (tmp_path / "boxes" / "a.csv").write_text("frame,x0,y0,x1,y1\n0,0,0,24,64\n")
    (clip,) = Videos(tmp_path).split_clips("test")
    assert read_boxes(clip, np.array([0]))[0].tolist() == [-0.5, 0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0,.1,.2,.5,.6", "All boxes of clip 'a' lie between 0 and 1"),
        ("0,1,1,inf,20", r"The box of frame 0 of clip 'a' is \(1, 1, inf, 20\)"),
        ("0,nan,1,20,20", "expected x0 < x1"),
        ("0,10,10,900,20", "within its 64x48 pixels"),
    ],
)
def test_boxes_that_cannot_be_pixels_of_the_frame_are_refused(tmp_path: Path, row: str, message: str) -> None:
    write_images(tmp_path / "clips" / "a", frames=1)
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes" / "a.csv").write_text(f"frame,x0,y0,x1,y1\n{row}\n")
    (clip,) = Videos(tmp_path).split_clips("test")
    with pytest.raises(ValueError, match=message):
        read_boxes(clip, np.array([0]))


def test_soft_edges_are_parted_in_the_middle_and_said(tmp_path: Path) -> None:
    """Half of each edge is above 127, so the area is that of the shape before compression, to a pixel's width."""
    true = shape(2) > 0
    for name, options in (("a.webp", {"quality": 60}), ("a.jpg", {"quality": 60})):
        said: list[str] = []
        Image.fromarray(shape(2)).save(tmp_path / name, **options)
        found = read_mask(tmp_path / name, notice=said.append)
        assert abs(int(found.sum()) - int(true.sum())) / true.sum() < 0.02
        assert said == ["there are values besides two; those above 127 are the subject"]
    faint = np.random.default_rng(0).integers(0, 4, SIZE).astype(np.uint8)  # what compression leaves of no subject
    Image.fromarray(faint).save(tmp_path / "empty.jpg", quality=95)
    assert np.asarray(Image.open(tmp_path / "empty.jpg")).any() and not read_mask(tmp_path / "empty.jpg").any()
    grey = np.zeros(SIZE, np.uint8)
    grey[:, :16], grey[:, 16:32], grey[:, 32:] = 85, 170, 255
    Image.fromarray(grey).save(tmp_path / "b.png")
    assert read_mask(tmp_path / "b.png").mean() == 0.75
    Image.fromarray(grey // 85).save(tmp_path / "numbers.png")  # 1, 2, 3: objects, none of them the background
    assert read_mask(tmp_path / "numbers.png").all()


def test_codes_of_benchmarks_are_said(tmp_path: Path) -> None:
    """changedetection.net: 50 is a shadow, 85 outside the region of interest, 170 unknown, 255 moving."""
    codes = shape(2)
    codes[10:30, 13:17], codes[:5], codes[30:33] = 170, 85, 50
    Image.fromarray(codes).save(tmp_path / "a.png")
    said: list[str] = []
    assert (read_mask(tmp_path / "a.png", notice=said.append) == (shape(2) > 0)).all()
    assert len(said) == 1 and said[0].startswith("there are values besides two; those above 127 are the subject; if")
    assert "codes of CDnet, 50 is a shadow, and 85 and 170 are not known: DATA=cdnet or sbi leaves" in said[0]
    Image.fromarray(np.where(codes == 85, 86, codes).astype(np.uint8)).save(tmp_path / "b.png")
    read_mask(tmp_path / "b.png", notice=said.append)
    assert "CDnet" not in said[1]
    Image.fromarray(np.where(codes == 85, 85, 0).astype(np.uint8)).save(tmp_path / "c.png")  # where nothing moves
    assert (read_mask(tmp_path / "c.png", notice=said.append) == (codes == 85)).all()
    assert said[2].startswith("what is not 0 is the subject; if these are the codes of CDnet")
    Image.fromarray(shape(2)).save(tmp_path / "d.png")
    read_mask(tmp_path / "d.png", notice=said.append)
    assert len(said) == 3  # of 0 and 255 there is nothing to say


def test_masks_that_are_more_than_half_subject_throughout_are_noticed(tmp_path: Path) -> None:
    """White is the background of half of the clips of FBMS-59: the mask of a subject of 5 % is then 95 % white."""
    write_images(tmp_path / "clips" / "a")
    save_masks(tmp_path / "masks" / "a", [("00000.png", 0)])
    assert "more than half" not in problems(tmp_path)
    Image.fromarray(255 - shape(0)).save(tmp_path / "masks" / "a" / "00000.png")
    assert "the subject fills more than half of every mask" in problems(tmp_path)
    Image.fromarray(shape(1)).save(tmp_path / "masks" / "a" / "00001.png")
    assert "more than half" not in problems(tmp_path)


def test_masks_of_a_benchmark_are_no_clips(tmp_path: Path) -> None:
    write_images(tmp_path / "baseline" / "highway" / "input")
    save_masks(tmp_path / "baseline" / "highway" / "groundtruth", [("gt000001.png", 0)])
    assert Videos(tmp_path).available_clips() == ["baseline/highway/input"]
    assert "groundtruth looks like the masks of a benchmark: DATA=cdnet, sbi, fbms or segtrack" in problems(tmp_path)


def test_an_alpha_that_varies_is_the_mask(tmp_path: Path) -> None:
    cut_out = np.full((*SIZE, 4), 200, np.uint8)
    cut_out[..., 3] = shape(1)
    Image.fromarray(cut_out).save(tmp_path / "a.png")
    assert (read_mask(tmp_path / "a.png") == (shape(1) > 0)).all()
    plain = np.dstack([shape(1)] * 3 + [np.full(SIZE, 255, np.uint8)])
    Image.fromarray(plain).save(tmp_path / "b.png")
    assert (read_mask(tmp_path / "b.png") == (shape(1) > 0)).all()  # as bear/00077.png of DAVIS-2016 is


def test_a_matte_video_is_read_as_masks(tmp_path: Path) -> None:
    write_video(tmp_path / "clips" / "a.mp4")
    (tmp_path / "masks").mkdir()
    with av.open(str(tmp_path / "masks" / "a.mkv"), "w") as file:
        stream = file.add_stream("ffv1", 10, width=SIZE[1], height=SIZE[0], pix_fmt="gray")
        for frame in range(6):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(shape(frame), "gray")))
        file.mux(stream.encode())
    assert frames_of_masks(tmp_path) == {frame: frame for frame in range(6)}
    write_video(tmp_path / "clips" / "a.mp4", frames=8)
    with pytest.raises(ValueError, match="has 6 frames, clip 'a' has 8"):
        frames_of_masks(tmp_path)


def test_masks_that_are_counted_from_one_are_noticed(tmp_path: Path) -> None:
    write_video(tmp_path / "clips" / "a.mp4")
    save_masks(tmp_path / "masks" / "a", [(f"{frame + 1:06d}.png", frame) for frame in (0, 2)])
    assert "begin with number 1" in problems(tmp_path)


def test_files_of_annotations_that_are_not_used_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "clips" / "a")
    save_masks(tmp_path / "masks", [("000000.png", 0)])
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes" / "a.json").write_text("{}")
    found = problems(tmp_path)
    assert str(tmp_path / "masks" / "000000.png") in found and str(tmp_path / "boxes" / "a.json") in found


def test_what_backdrop_wrote_is_no_clip(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_images(tmp_path / name)
    run = tmp_path / "runs" / "x"
    write_images(run / "inpaint" / "images", frames=1)
    (run / "inpaint" / "config_fit.yaml").write_text("data: {}\n")
    prediction = tmp_path / "elsewhere"
    write_images(prediction / "overlays")
    (prediction / "boxes.csv").write_text("frame,x0,y0,x1,y1,confidence,file\n")
    write_images(tmp_path / "sheets", frames=1, pattern="inspect_videos.png")
    data_set = Videos(tmp_path)
    assert data_set.available_clips() == ["a", "b"]
    data_set.split_clips("train")
    noticed = " ".join(problem.reason for problem in data_set.findings.noticed)
    assert all(f"{tmp_path / name} was written by Backdrop" in noticed for name in ("runs/x", "elsewhere", "sheets"))


def test_names_that_look_alike_are_alike(tmp_path: Path) -> None:
    """Unicode's two normal forms of é (macOS writes the decomposed one); and a byte order mark."""
    apart, joined = (unicodedata.normalize(form, "café") for form in ("NFD", "NFC"))
    for name in (apart, "b", "c"):
        write_images(tmp_path / "clips" / name)
    (tmp_path / "splits.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"train": ["b"], "test": [joined]}).encode())
    assert [clip.name for clip in Videos(tmp_path).split_clips("test")] == [apart]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"train": ["a"], "train": []}', r"is not valid JSON in UTF-8 \(it names 'train' twice: join the two\)"),
        ("café".encode("latin-1"), "is not valid JSON in UTF-8"),
        (b"[" * 100000, "is not valid JSON in UTF-8"),
    ],
)
def test_damaged_splits_name_their_file(tmp_path: Path, content: bytes, message: str) -> None:
    write_images(tmp_path / "clips" / "a")
    (tmp_path / "splits.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"{tmp_path / 'splits.json'} {message}"):
        Videos(tmp_path).split_clips("train")


def test_a_recording_under_two_names_is_one_clip(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        write_video(tmp_path / f"{name}.mp4", number)
        write_images(tmp_path / f"images_{name}", number)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    shutil.copytree(tmp_path / "images_b", tmp_path / "hard", copy_function=os.link)
    shutil.copytree(tmp_path / "images_c", tmp_path / "copy")
    shutil.copy(tmp_path / "c.mp4", tmp_path / "again.mp4")
    write_masks(tmp_path / "masks" / "images_c", 2)
    for name in ("b.mp4", "images_a/00003.jpg"):  # a byte of the same file, or of one image of many, makes another one
        changed = tmp_path / f"changed_{name}"
        shutil.copytree(tmp_path / "images_a", changed.parent) if "/" in name else None
        content = bytearray((tmp_path / name).read_bytes())
        content[-2] ^= 1
        changed.write_bytes(content)
    data_set = Videos(tmp_path)
    names = [clip.name for split in SPLITS for clip in data_set.split_clips(split)]
    assert sorted(names) == ["a", "again", "b", "changed_b", "changed_images_a", "hard", "images_a", "images_c"]
    noticed = {problem.clip: problem.reason for problem in data_set.findings.noticed}
    assert noticed == {
        "link": "it is the same recording as clip 'a': left out",
        "images_b": "it is the same recording as clip 'hard': left out",  # the first in natural order stays
        "c": "it is the same recording as clip 'again': left out",
        "copy": "it is the same recording as clip 'images_c': left out",  # or the annotated one
    }
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["a", "b"], "test": ["link"]}))
    listed = Videos(tmp_path)
    assert [clip.name for clip in listed.split_clips("test")] == ["link"]
    assert any("'link' is the same recording as clip 'a'." in line for line in listed.findings.said)


def test_copies_that_are_listed_for_training_and_test_are_transductive(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        write_images(tmp_path / "clips" / name, number)
    shutil.copytree(tmp_path / "clips" / "a", tmp_path / "clips" / "copy")
    write_masks(tmp_path / "masks" / "copy")
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["a"], "val": ["b"], "test": ["copy"]}))
    options = {"image_size": SIZE, "num_workers": 0}
    listed = VideosDataModule(str(tmp_path), **options)
    listed.setup()
    assert listed.transductive is True and any("Transductive: clip 'a'" in line for line in listed.findings.said)
    cut = VideosDataModule(str(tmp_path), held_out=0.5, **options)
    cut.setup()
    assert cut.transductive is False
    read = {split: sorted(n for clip in cut.dataset(split).clips for n in clip.frame_numbers) for split in SPLITS}
    assert read == {"train": [0, 1, 2], "val": [0, 1, 2, 3, 4, 5], "test": [3, 4, 5]}
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["a", "copy"], "test": ["b"]}))
    drawn = VideosDataModule(str(tmp_path), val_share=0.5, **options)  # both names are one recording: none is set aside
    assert [len(drawn.listed_clips(split)) for split in SPLITS] == [2, 0, 1]
