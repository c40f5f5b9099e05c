"""Bad input, over the layouts: one sentence says what, where and what to do; what is skipped is listed and counted."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import FramesDataModule
from datamodules.store.entry import EntryWriter
from datamodules.store.store import StoreError
from tests.fake_data import LAYOUTS, draw_frame, write_mat, write_video
from tests.layouts import on_disk

pytestmark = pytest.mark.filterwarnings("ignore:Only .* training frames")

# An image in the middle of a training clip, the clip's name and the image's number.
IMAGES = {
    "davis": ("JPEGImages/480p/bear/00002.jpg", "bear", 2),
    "davis-2017": ("JPEGImages/480p/bear/00002.jpg", "bear", 2),
    "videos": ("clips/run2/000003.jpg", "run2", 3),
    "handheld": ("clips/seq1/cam1/000002.jpg", "seq1/cam1", 2),
    "h36m": ("S1/Phoning-1/imageSequence/54138969/img_000002.jpg", "S1_Phoning-1_54138969", 2),
    "h36m-labels": ("h36m-train/seq_000/cam_00/img_000006.jpg", "h36m-train_seq_000_cam_00", 6),
    "ski": ("Videos_Small/trial_103_cam1/frame_000002.jpg", "trial_103_cam1", 2),
    "ski-crops": ("train/seq_000/cam_00/image_000006.png", "train_seq_000_cam_00", 6),
    "cdnet": ("baseline/highway/input/in000003.jpg", "baseline/highway", 3),
    "fbms": ("Trainingset/bear01/bear01_0002.jpg", "bear01", 2),
    "segtrack": ("JPEGImages/birdfall/birdfall_00020.png", "birdfall", 20),
    "sbi": ("Board/input/in000052.png", "Board", 52),
}
MASKS = {
    "davis": ("Annotations/480p/camel/00001.png", "frame 1 of clip 'camel'"),
    "davis-2017": ("Annotations/480p/camel/00001.png", "frame 1 of clip 'camel'"),
    "videos": ("masks/run3/000002.png", "frame 2 of clip 'run3'"),
    "handheld": ("masks/seq5/cam1/000002.png", "frame 2 of clip 'seq5/cam1'"),
    "ski": ("Segmentation_masks/trial_405_cam1/frame_000003.jpg", "frame 3 of clip 'trial_405_cam1'"),
    "fbms": ("Testset/camel01/GroundTruth/camel01_0004_gt.ppm", "frame 4 of clip 'camel01'"),
    "segtrack": ("GroundTruth/birdfall/birdfall_00020.png", "frame 20 of clip 'birdfall'"),
    "sbi": ("Board/groundtruth/gt000052.png", "frame 52 of clip 'Board'"),
}


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Good data of the layout, with a store of their own."""
    monkeypatch.setenv("BACKDROP_CACHE", str(tmp_path / "store"))
    return written(layout, tmp_path / "data" / "set")


def written(layout: str, root: Path) -> Path:
    LAYOUTS[layout](root)
    if layout == "videos":  # a folder of images trains beside the video
        (root / "splits.json").write_text(json.dumps({"train": ["run1", "run2"], "test": ["run3"]}))
    return root


def refused(module: FramesDataModule, *said: str) -> None:
    """Both ways to the data give one sentence that holds all these words."""
    for go in (module.prepare, module.setup):
        with pytest.raises((FileNotFoundError, ValueError, StoreError)) as caught:
            go()
        message = str(caught.value)
        assert "\n" not in message
        assert all(words in message for words in said), message


def images(folder: Path) -> list[Path]:
    """The files of a clip, without folders of annotations beside them."""
    return sorted(path for path in folder.iterdir() if path.is_file())


def drop_masks(root: Path) -> None:
    """Remove the masks of the clip of IMAGES, where they lie beside or around it."""
    for folder in ("masks/run2", "baseline/highway/groundtruth", "Board/groundtruth", "Trainingset/bear01/GroundTruth"):
        shutil.rmtree(root / folder, ignore_errors=True)


def left_out(layout: str, root: Path, count: str, **changes: object) -> FramesDataModule:
    """Prepare and set up data of which something is skipped, which is counted by both and written down."""
    line = on_disk(layout, root, **changes).prepare()
    assert count in line
    file = Path(line.split(": see ")[1])
    module = on_disk(layout, root, **changes)
    with pytest.warns(UserWarning, match=count):
        module.setup()
    listed = file.read_text().splitlines()
    assert listed[0] == "clip,frame,reason" and len(listed) == len(module.problems()) + 1
    return module


def test_good_data_have_no_problems(layout: str, root: Path) -> None:
    module = on_disk(layout, root)
    assert "skipped" not in module.prepare()
    module.setup()
    assert module.problems() == [] and module.skipped() == ""


def test_a_missing_root_is_named(layout: str, tmp_path: Path) -> None:
    refused(on_disk(layout, tmp_path / "none"), f" at {tmp_path / 'none'}: give ", "as root")


def test_an_empty_root_is_named(layout: str, tmp_path: Path) -> None:
    todo = "put videos" if layout in ("videos", "handheld") else "give the folder that holds"
    refused(on_disk(layout, tmp_path), str(tmp_path), todo)


def test_the_right_level_of_the_tree_is_named(layout: str, root: Path) -> None:
    deep = root / Path(IMAGES[layout][0]).parent
    if layout in ("videos", "handheld"):  # whose clips may lie at any depth
        module = on_disk("videos", root.parent)
        module.setup()
        seen = root / ("splits.json" if layout == "videos" else "masks")
        assert seen.exists() and f"give {root} as root" in module.problems()[0].reason
        module = on_disk("videos", root / "clips")
        module.setup()
        assert f"masks beside {root / 'clips'} is not used: give {root} as root" in module.problems()[0].reason
        assert "1 other problem" in module.skipped()
        return
    for wrong in (root.parent, deep):
        refused(on_disk(layout, wrong), str(wrong), f"give {root} as root")


@pytest.mark.parametrize("layout", ["davis"])
def test_davis_is_told_from_own_videos(layout: str, root: Path) -> None:
    module = on_disk("videos", root)
    module.setup("fit")
    hints = [problem.reason for problem in module.problems() if "looks like DAVIS" in problem.reason]
    assert len(hints) == 1 and "DATA=davis" in hints[0]


def test_an_empty_clip_is_listed(layout: str, root: Path) -> None:
    image, clip, _ = IMAGES[layout]
    folder = (root / image).parent
    for path in images(folder):
        path.unlink()
    if layout == "videos":
        (root / "splits.json").unlink()
        shutil.rmtree(root / "masks" / "run2")
    module = left_out(layout, root, "1 other problem" if layout in ("videos", "handheld") else "1 clip skipped")
    assert clip not in module.dataset("train").clip_names and module.dataset("train").clip_names
    reasons = [problem.reason for problem in module.problems()]
    assert len(reasons) == 1 and str(folder) in reasons[0]


@pytest.mark.parametrize("damage", ["half", "text", "empty"])
def test_a_corrupt_image_is_skipped_and_listed(layout: str, root: Path, damage: str) -> None:
    image, clip, number = IMAGES[layout]
    whole = on_disk(layout, root, val_share=0)
    whole.setup("fit")
    data = (root / image).read_bytes()
    (root / image).write_bytes({"half": data[: len(data) // 2], "text": b"no image", "empty": b""}[damage])
    module = left_out(layout, root, "1 frame skipped in 1 clip", val_share=0)
    assert [(problem.clip, problem.frame) for problem in module.problems()] == [(clip, number)]
    assert str(root / image) in module.problems()[0].reason
    assert len(module.dataset("train")) == len(whole.dataset("train")) - 1


def test_a_clip_of_corrupt_images_is_skipped_and_listed(layout: str, root: Path) -> None:
    image, clip, _ = IMAGES[layout]
    for path in images((root / image).parent):
        path.write_bytes(b"no image")
    module = left_out(layout, root, "1 clip skipped", val_share=0)
    assert clip not in module.dataset("train").clip_names and module.dataset("train").clip_names
    assert [(problem.clip, problem.frame) for problem in module.problems()] == [(clip, None)]


@pytest.mark.parametrize("layout", ["davis"])
def test_where_what_was_drawn_for_validation_is_corrupt_training_goes_without(
    layout: str, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drawn = on_disk(layout, root)
    drawn.setup("fit")
    (clip,) = drawn.dataset("val").clip_names
    for path in (root / "JPEGImages" / "480p" / clip).iterdir():
        path.write_bytes(b"no image")
    with caplog.at_level("INFO", "datamodules"):
        module = left_out(layout, root, "1 clip skipped")
    assert list(module.val_dataloader()) == [] and len(module.dataset("train").clips) == 1
    assert f"Nothing to validate on ({clip} cannot be used): best.ckpt is not written." in caplog.messages


def test_a_clip_shorter_than_needed_is_skipped_and_listed(layout: str, root: Path) -> None:
    image, clip, _ = IMAGES[layout]
    first, *others = images((root / image).parent)
    for path in others:
        path.unlink()
    drop_masks(root)
    module = left_out(layout, root, "1 clip skipped", min_frames=2, val_share=0)
    assert clip not in module.dataset("train").clip_names and module.dataset("train").clip_names
    reasons = [problem.reason for problem in module.problems() if problem.frame is None]
    gone = ("of no frame", "has no folder groundtruth")  # masks whose frames are gone, and clips whose masks are
    short = [reason for reason in reasons if not any(part in reason for part in gone)]
    assert short == ["Only 1 of at least 2 frames can be read: add frames, or lower min_frames."] and first.exists()
    with pytest.raises(ValueError, match=r"can be read is left in the train split .* of at least 100 frames"):
        on_disk(layout, root, min_frames=100).setup()


@pytest.mark.parametrize("layout", MASKS)
def test_a_mask_of_another_size_is_named(layout: str, root: Path) -> None:
    mask, where = MASKS[layout]
    Image.new("L", (20, 10), 255).save(root / mask)
    module = on_disk(layout, root)
    module.prepare()  # which reads no mask
    with pytest.raises(ValueError, match=rf"mask of {where} is 20x10 pixels, .* save the mask at the size"):
        module.setup()


@pytest.mark.parametrize("layout", ["h36m"])
def test_a_silhouette_of_another_size_is_named(layout: str, root: Path) -> None:
    masks = [draw_frame(1, frame, (24, 32))[1] for frame in range(6)]
    write_mat(root / "S9" / "MySegmentsMat" / "ground_truth_bs" / "Phoning 1.54138969.mat", masks)
    on_disk(layout, root).setup()  # silhouettes are not asked for, and boxes follow the frames
    with pytest.raises(ValueError, match=r"mask of frame 1 of clip 'S9_Phoning-1_54138969' is 32x24 pixels"):
        on_disk(layout, root, silhouettes=True).setup()


@pytest.mark.parametrize("layout", MASKS)
def test_a_corrupt_mask_is_named(layout: str, root: Path) -> None:
    mask = root / MASKS[layout][0]
    mask.write_bytes(mask.read_bytes()[:40])
    with pytest.raises(ValueError, match=rf"Cannot read the mask {mask} .*replace or delete the file"):
        on_disk(layout, root).setup()


@pytest.mark.parametrize("layout", ["h36m-labels", "ski-crops"])
@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("damage", ["half", "text", "empty"])
def test_unreadable_labels_are_named(layout: str, root: Path, part: str, damage: str) -> None:
    file = next(root.glob(f"*{part}")) / "labels.h5"
    data = file.read_bytes()
    file.write_bytes({"half": data[: len(data) // 2], "text": b"no HDF5", "empty": b""}[damage])
    refused(on_disk(layout, root), f"Cannot read {file}", "fetch the file again")


@pytest.mark.parametrize(
    ("layout", "options"),
    [("videos", {}), ("videos", {"fps": 5.0}), ("videos", {"every_nth": 2}), ("handheld", {})],
    ids=["videos", "videos-fps", "videos-every_nth", "handheld"],
)
def test_a_truncated_video_keeps_what_decodes(layout: str, root: Path, options: dict[str, object]) -> None:
    image, clip, _ = IMAGES[layout]
    folder = (root / image).parent
    shutil.rmtree(folder)
    video = write_video(folder.with_suffix(".mp4"), frames=60, options={"movflags": "faststart"})
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    if layout == "videos":
        shutil.rmtree(root / "masks" / "run2")
    module = left_out(layout, root, "frames skipped in 1 clip", **options)
    dataset = module.dataset("train")
    kept = dataset.clips[dataset.clip_names.index(clip)].frame_numbers.tolist()
    lost = [problem.frame for problem in module.problems()]
    assert len(kept) > 1 and len(lost) > 1 and {problem.clip for problem in module.problems()} == {clip}
    step = 2 if options else 1
    listed = sorted([*kept, *(frame for frame in lost if frame is not None)])  # nothing is lost silently
    if "fps" in options:  # whose last frames before the cut wait for others that are gone, and so move by one
        assert set(np.diff(listed)) <= {1, 2} and listed[0] == 0 and listed[-1] >= 58
    else:
        assert listed == list(range(0, 60, step))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "No space left in {}: free some, set store_dir to a larger disk"),
        (errno.EROFS, "Cannot write into {}: set store_dir or BACKDROP_CACHE"),
    ],
)
def test_a_disk_that_is_full_or_read_only_is_named(
    layout: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    store = tmp_path / "store"
    with monkeypatch.context() as patch:
        patch.setattr(EntryWriter, "add", refuse)
        what, todo = said.format(store).split(": ", 1)
        refused(on_disk(layout, root), what, os.strerror(number), todo)
    assert not [path for path in store.iterdir() if path.is_dir()]  # nothing half written
    on_disk(layout, root).setup()
