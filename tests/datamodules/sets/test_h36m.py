from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from datamodules import H36mDataModule
from datamodules.sets.h36m.masks import MaskFile
from tests.fake_data import (
    SIZE,
    centre_box,
    draw_frame,
    pixel_box,
    write_h36m,
    write_h36m_labels,
    write_images,
    write_labels,
    write_mat,
)


def h36m(root: Path, **changes: object) -> H36mDataModule:
    options = {"image_size": SIZE, "num_workers": 0, "every_nth": 1, **changes}
    return H36mDataModule(str(root), **options)  # type: ignore[arg-type]


def ready(root: Path, **changes: object) -> H36mDataModule:
    module = h36m(root, **changes)
    module.setup()
    return module


def test_subjects_split_the_clips(tmp_path: Path) -> None:
    module = ready(write_h36m(tmp_path))
    assert {name.split("_")[0] for name in module.dataset("train").clip_names} == {"S1"}
    assert {name.split("_")[0] for name in module.dataset("val").clip_names} == {"S1"}
    assert {name.split("_")[0] for name in module.dataset("test").clip_names} == {"S9"}
    assert len(module.dataset("test").clips) == 4


@pytest.mark.parametrize("write", [write_h36m, write_h36m_labels])
def test_all_cameras_of_a_recording_validate_together(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    module = ready(write(tmp_path))
    train, val = (module.dataset(split).clip_names for split in ("train", "val"))  # type: ignore[arg-type]
    takes = [sorted({name.rsplit("_cam_", 1)[0].rsplit("_5", 1)[0] for name in names}) for names in (train, val)]
    assert len(train) == len(val) == 2 and len(takes[0]) == len(takes[1]) == 1 and takes[0] != takes[1]
    assert module.dataset("val").boxed_frames == len(module.dataset("val"))


def test_boxes_are_the_tight_rectangles_of_the_transposed_masks(tmp_path: Path) -> None:
    dataset = ready(write_h36m(tmp_path)).dataset("test")
    for item in range(len(dataset)):
        sample = dataset[item]
        assert set(sample) == {"image", "clip", "index", "box"}  # boxes only: the silhouettes are asked for
        expected = centre_box(draw_frame(1, sample["index"] - 1)[1])
        assert sample["box"].tolist() == pytest.approx(expected, abs=1e-6)


def test_the_boxes_of_a_take_are_read_in_one_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, opened = write_h36m(tmp_path), []

    class Counted(h5py.File):
        def __init__(self, path: Path) -> None:
            opened.append(path)
            super().__init__(path)

    module = h36m(root)
    listed = module.data_set.split_clips("test")
    monkeypatch.setattr("h5py.File", Counted)
    for clip in listed:
        assert all(callable(box) and box() is not None for box in clip.boxes.values())
    assert len(listed) == 4 and sorted(set(opened)) == sorted(opened) and len(opened) == 4


def test_boxes_are_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, store = write_h36m(tmp_path / "data", ("S1", "S9", "S11")), str(tmp_path / "store")
    file = root / "S9" / "MySegmentsMat" / "ground_truth_bb" / "Phoning 1.54138969.mat"
    real, found = MaskFile.boxes, []

    def find(self: MaskFile, *arguments: object) -> object:
        found.append(self.path)
        return real(self, *arguments)  # type: ignore[arg-type]

    def boxes() -> list[list[float]]:
        found.clear()
        dataset = ready(root, store_dir=store).dataset("test")
        return [dataset[item]["box"].tolist() for item in range(len(dataset))]

    monkeypatch.setattr(MaskFile, "boxes", find)
    first = boxes()
    assert len(found) == len(set(found)) == 10  # two cameras of one take validate
    assert boxes() == first and found == []
    kept = sorted((tmp_path / "store").glob("boxes-*.json"))
    kept[0].write_text("{")  # damaged
    assert boxes() == first and len(found) == 1
    os.utime(file, ns=(1, 1))  # changed
    assert boxes() == first and found == [file]


def test_boxes_follow_frames_that_were_scaled(tmp_path: Path) -> None:
    root = write_h36m(tmp_path)
    folder = root / "S9" / "Phoning-1" / "imageSequence" / "54138969"
    shutil.rmtree(folder)
    write_images(folder, 1, 6, (24, 32), 1, "img_{:06d}.jpg")
    sample = ready(root).dataset("test")[0]
    assert sample["clip"] == "S9_Phoning-1_54138969"
    assert sample["box"].tolist() == pytest.approx(centre_box(draw_frame(1, 0)[1]), abs=1e-6)


def test_every_nth_counts_video_frames(tmp_path: Path) -> None:
    root = write_h36m(tmp_path)
    dataset = ready(root, every_nth=5).dataset("test")
    assert [dataset[item]["index"] for item in range(4)] == [1, 6, 1, 6]
    for number in (2, 3, 4, 5):  # a folder that was sub-sampled when it was unpacked gives the same
        for path in root.glob(f"S9/*/imageSequence/*/img_{number:06d}.jpg"):
            path.unlink()
    again = ready(root, every_nth=5).dataset("test")
    assert all(np.array_equal(dataset[n]["box"], again[n]["box"]) for n in range(len(dataset)))


def test_silhouettes_are_masks_if_asked_for(tmp_path: Path) -> None:
    sample = ready(write_h36m(tmp_path), silhouettes=True).dataset("test")[2]
    assert sample["annotated"] and np.array_equal(sample["mask"][0].numpy(), draw_frame(1, 2)[1])


def test_mask_files_are_told_apart_by_length(tmp_path: Path) -> None:
    root = tmp_path / "S9"
    lengths = {"Phoning 2": 40, "Phoning 3": 70, "SittingDown": 40, "SittingDown 1": 70}
    for name, length in lengths.items():
        masks = [draw_frame(0, length + n % 3)[1] for n in range(length)]
        write_mat(root / "MySegmentsMat" / "ground_truth_bb" / f"{name}.54138969.mat", masks)
    takes = {"Phoning-1": 70, "Phoning-2": 40, "SittingDown-1": 40, "SittingDown-2": 70}
    for take, length in takes.items():
        for number in range(1, length + 1, 5):
            write_images(root / take / "imageSequence" / "54138969", frames=1, first=number, pattern="img_{:06d}.jpg")
    module = h36m(tmp_path, every_nth=5)
    module.setup("test")
    dataset = module.dataset("test")
    samples = [dataset[n] for n in range(len(dataset))]
    found = {sample["clip"].split("_")[1]: sample["box"] for sample in samples if sample["index"] == 1}
    for take, length in takes.items():
        assert found[take].tolist() == pytest.approx(centre_box(draw_frame(0, length)[1]), abs=1e-6), take


def test_a_take_without_fitting_mask_file_is_listed(tmp_path: Path) -> None:
    root = write_h36m(tmp_path)
    for path in (root / "S9" / "MySegmentsMat" / "ground_truth_bb").glob("*.55011271.mat"):
        path.unlink()
    module = ready(root)
    assert {name[-8:] for name in module.dataset("test").clip_names} == {"54138969"}
    assert {problem.clip for problem in module.problems()} == {"S9_Phoning-1_55011271", "S9_Phoning-2_55011271"}
    assert all("of its action and length" in problem.reason for problem in module.problems())


def test_an_empty_camera_folder_is_listed(tmp_path: Path) -> None:
    root = write_h36m(tmp_path)
    folder = root / "S1" / "Phoning-1" / "imageSequence" / "54138969"
    shutil.rmtree(folder)
    folder.mkdir()
    module = ready(root)
    assert sum(len(module.dataset(split).clips) for split in ("train", "val")) == 3  # type: ignore[arg-type]
    assert [problem.clip for problem in module.problems()] == ["S1_Phoning-1_54138969"]


def test_bad_mask_files_are_named(tmp_path: Path) -> None:
    root = write_h36m(tmp_path)
    path = root / "S9" / "MySegmentsMat" / "ground_truth_bb" / "Phoning 1.54138969.mat"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValueError, match=r"Cannot read .*Phoning 1\.54138969\.mat.*fetch"):
        ready(root)
    with h5py.File(path, "w") as file:
        file["Boxes"] = [1]
    with pytest.raises(ValueError, match=r"Phoning 1\.54138969\.mat has no Masks"):
        MaskFile(path)


def test_an_empty_mask_is_no_box(tmp_path: Path) -> None:
    write_mat(tmp_path / "a.mat", [np.zeros(SIZE, dtype=bool), draw_frame(0, 0)[1]])
    file = MaskFile(tmp_path / "a.mat")
    assert file.boxes([0, 1], SIZE) == {0: None, 1: pixel_box(draw_frame(0, 0)[1])}


@pytest.mark.parametrize(
    "kept",
    [
        {"chunks": (7, 11), "compression": "gzip"},  # the last ones reach over the edge
        {"chunks": (16, 16), "compression": "gzip"},
        {"chunks": (7, 11), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (7, 11), "compression": "lzf"},
        {"chunks": (7, 11)},
        {},
    ],
    ids=["gzip, uneven", "gzip, even", "more filters", "lzf", "chunks", "whole"],
)
def test_boxes_are_the_same_however_masks_are_stored(tmp_path: Path, kept: dict[str, object]) -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random(SIZE) > share for share in (0.5, 0.99, 0.999, 0.9995, 1.0)]
    corners = np.zeros((2, *SIZE), dtype=bool)
    corners[0, 0, -1] = corners[1, -1, 0] = True
    masks += [*corners, draw_frame(0, 0)[1], draw_frame(0, 0)[1], np.ones(SIZE, dtype=bool)]
    with h5py.File(tmp_path / "a.mat", "w") as file:
        stored = [file.create_dataset(f"m{n}", data=mask.astype(np.uint8).T, **kept) for n, mask in enumerate(masks)]
        stored.append(file.create_dataset("none", SIZE[::-1], np.uint8, **kept))  # holds not one piece
        file.create_dataset("Masks", data=[image.ref for image in stored], dtype=h5py.ref_dtype)
    boxes = MaskFile(tmp_path / "a.mat").boxes(range(len(stored)), SIZE)
    assert list(boxes.values()) == [pixel_box(mask) if mask.any() else None for mask in masks] + [None]


def test_a_broken_box_mask_is_named(tmp_path: Path) -> None:
    write_mat(tmp_path / "a.mat", [draw_frame(0, n)[1] for n in range(3)])
    with h5py.File(tmp_path / "a.mat", "r+") as file:
        image = file[file["Masks"][1, 0]]
        image.id.write_direct_chunk((0,) * image.ndim, b"no zlib")
    with pytest.raises(ValueError, match=r"Cannot read mask 2 of .*a\.mat .*fetch the file again"):
        MaskFile(tmp_path / "a.mat").boxes(range(3), SIZE)


def test_wrong_levels_of_the_tree_are_explained(tmp_path: Path) -> None:
    root = write_h36m(tmp_path / "data" / "h36m")
    labels = write_h36m_labels(tmp_path / "other" / "h36m")
    cases = {
        tmp_path / "none": r"No folder at .*none",
        root.parent: rf"give {root} as root",
        root / "S9": rf"too deep.*give {root} as root",
        labels.parent: rf"give {labels} as root",
        labels / "h36m-train" / "seq_000": rf"too deep.*give {labels} as root",
    }
    for path, message in cases.items():
        with pytest.raises(FileNotFoundError, match=message):
            h36m(path).setup("test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="give the folder that holds them"):
        h36m(tmp_path / "empty").setup("test")


def test_a_missing_subject_leaves_an_empty_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train split of H36mDataModule is empty"):
        h36m(write_h36m(tmp_path, subjects=("S9",))).setup("fit")


def test_labels_list_the_frames_and_boxes(tmp_path: Path) -> None:
    module = ready(write_h36m_labels(tmp_path))
    train, test = module.dataset("train"), module.dataset("test")
    listed = sorted(train.clip_names + module.dataset("val").clip_names)
    assert listed == [f"h36m-train_seq_{s:03d}_cam_{c:02d}" for s in (0, 1) for c in (0, 1)]
    assert len(test) == 8 and [test[n]["index"] for n in range(4)] == [5, 6, 7, 8]
    for item in range(8):
        expected = centre_box(draw_frame(9, test[item]["index"] - 5)[1])
        assert test[item]["box"].tolist() == pytest.approx(expected, abs=1e-5)


def test_boxes_in_camera_coordinates_become_pixels(tmp_path: Path) -> None:
    camera = np.array([[80.0, 0, 32], [0, 90.0, 24], [0, 0, 1]])
    x0, y0, x1, y1 = pixel_box(draw_frame(9, 0)[1])
    box = np.array([[(x0 - 32) / 80, (y0 - 24) / 90, (x1 - x0) / 80, (y1 - y0) / 90]])
    for number, more in enumerate(({"intrinsic": camera[None]}, {})):
        root = tmp_path / str(number)
        write_labels(root / "a-train", "img", (1,))
        write_labels(root / "a-test", "img", (9,), bounding_box_cam=box, **more)
        sample = ready(root).dataset("test")[0]
        if more:
            assert sample["box"].tolist() == pytest.approx(centre_box(draw_frame(9, 0)[1]), abs=1e-5)
        else:
            assert "box" not in sample


def test_rows_without_image_are_listed(tmp_path: Path) -> None:
    root = write_h36m_labels(tmp_path)
    (root / "h36m-test" / "seq_000" / "cam_01" / "img_000006.jpg").unlink()
    module = ready(root)
    assert len(module.dataset("test")) == 7
    assert [(p.clip, p.frame) for p in module.problems()] == [("h36m-test_seq_000_cam_01", 6)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("garbage", r"Cannot read .*h36m-test/labels\.h5"),
        ("no subj", r"labels\.h5 has no data set 'subj'"),
        ("short", r"Data set 'frame' of .*labels\.h5 has 3 rows, 'seq' 8"),
        ("no test", r"No folder named \.\.\.test with a labels\.h5"),
    ],
)
def test_bad_labels_are_named(tmp_path: Path, damage: str, message: str) -> None:
    root = write_h36m_labels(tmp_path)
    path = root / "h36m-test" / "labels.h5"
    if damage == "garbage":
        path.write_bytes(b"no HDF5 at all")
    elif damage == "no test":
        path.unlink()
    else:
        with h5py.File(path, "r+") as file:
            del file["subj" if damage == "no subj" else "frame"]
            if damage == "short":
                file["frame"] = [5.0, 6.0, 7.0]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ready(root)


def test_every_nth_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="every_nth of H36m is 0, expected at least 1"):
        h36m(tmp_path, every_nth=0)
