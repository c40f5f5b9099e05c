from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules import SkiDataModule
from datamodules.clips.problems import read_table
from datamodules.sets.ski.cameras import body_joints, in_view, joint_boxes, project, read_dlt, read_markers
from tests.fake_data import SIZE, draw_frame, ski_camera, ski_markers, write_ski, write_ski_crops


def ski(root: Path, **changes: object) -> SkiDataModule:
    options = {"image_size": (90, 160), "num_workers": 0, **changes}
    return SkiDataModule(str(root), **options)  # type: ignore[arg-type]


def ready(root: Path, **changes: object) -> SkiDataModule:
    module = ski(root, **changes)
    module.setup()
    return module


def pinhole(trial: int, camera: int, frame: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels of points by a camera's intrinsics and pose, one point at a time."""
    intrinsics, pose = ski_camera(trial, camera, frame)
    found = []
    for point in points:
        x, y, z = pose[:, :3] @ point + pose[:, 3]
        found.append((intrinsics[0, 0] * x / z + intrinsics[0, 2], intrinsics[1, 1] * y / z + intrinsics[1, 2]))
    return np.array(found)


def plain_joints(markers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The joints that can stretch the rectangle: single markers and points between the hips and the head."""
    right, left, head = markers[3], markers[4], markers[1]
    middle = (right + left) / 2
    hips = [0.9 * right + 0.1 * left, 0.1 * right + 0.9 * left, middle]
    trunk = [0.6 * middle + 0.4 * head, 0.2 * middle + 0.8 * head]
    return np.concatenate([markers[[1, *range(5, 15)]], np.array([*hips, *trunk])])


def test_subjects_split_the_trials(tmp_path: Path) -> None:
    module = ready(write_ski(tmp_path))
    assert module.dataset("train").clip_names == ["trial_103_cam1", "trial_103_cam2"]
    assert module.dataset("val").clip_names == ["trial_302_cam1", "trial_302_cam2"]
    assert module.dataset("test").clip_names == ["trial_405_cam1", "trial_405_cam2"]


def test_the_projection_is_that_of_a_camera(tmp_path: Path) -> None:
    root = write_ski(tmp_path, frames=3)
    for camera in (1, 2):
        parameters = read_dlt(root / "Data" / "DLT_Parameters" / f"PP_Trial_405_CAM{camera}.DLT")
        markers = read_markers(root / "Data" / "3D_Position_Data" / "Trial_405_AllMarker_Raumkoor.mat.csv")
        pixels = project(parameters, markers)
        for frame in range(3):
            assert np.allclose(markers[frame], ski_markers(frame), atol=1e-8)
            if camera == 2 and frame == 1:
                assert np.isnan(pixels[frame]).all()
            else:
                assert np.allclose(pixels[frame], pinhole(405, camera, frame, ski_markers(frame)), atol=1e-4)


def test_boxes_are_those_of_the_body_and_sixty_per_cent_larger(tmp_path: Path) -> None:
    dataset = ready(write_ski(tmp_path)).dataset("test")
    seen = [(dataset[n]["clip"], int(dataset[n]["index"])) for n in range(len(dataset))]
    assert seen == [("trial_405_cam1", n) for n in (1, 2, 3, 4)] + [("trial_405_cam2", n) for n in (1, 3, 4)]
    for item, (clip, number) in enumerate(seen):
        pixels = pinhole(405, int(clip[-1]), number - 1, plain_joints(ski_markers(number - 1)))
        (x0, y0), (x1, y1) = pixels.min(0), pixels.max(0)
        grown = (x0 - 0.3 * (x1 - x0), y0 - 0.3 * (y1 - y0), x1 + 0.3 * (x1 - x0), y1 + 0.3 * (y1 - y0))
        left, top = max(grown[0], 0), max(grown[1], 0)
        right, bottom = min(grown[2], 1280), min(grown[3], 720)
        expected = ((left + right) / 1280 - 1, (top + bottom) / 720 - 1, (right - left) / 1280, (bottom - top) / 720)
        assert dataset[item]["box"].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_joint_does_not_need_the_markers_of_the_skis() -> None:
    markers = ski_markers(0)[None]
    whole = body_joints(markers)
    markers[:, [0, 2, *range(15, 23)]] = np.nan
    assert whole.shape == (1, 17, 3) and np.array_equal(body_joints(markers), whole)
    markers[:, 5] = np.nan
    assert np.isnan(joint_boxes(body_joints(markers)[..., :2], (720, 1280))).all()


def test_the_whole_skier_is_in_view() -> None:
    joints = np.tile(np.array([[100.0, 100.0], [156.0, 300.0]]), (4, 1, 1))
    joints[1, 0, 0] = 100.5  # 55.5 pixels wide
    joints[2, 0, 1] = -1
    joints[3, 1, 0] = 1281
    assert in_view(joints).tolist() == [True, False, False, False]
    assert joint_boxes(joints[:1], (720, 1280)).tolist() == pytest.approx(np.array([[83.2, 40, 172.8, 360]]))


def test_sparse_masks_are_halved_and_cut_at_200(tmp_path: Path) -> None:
    dataset = ready(write_ski(tmp_path), image_size=(360, 640)).dataset("test")
    assert [dataset[n]["annotated"] for n in range(len(dataset))] == [False, False, True, False, False, True, False]
    mask = dataset[2]["mask"][0].numpy()
    assert (mask != draw_frame(2, 2, (720, 1280))[1][::2, ::2]).mean() < 0.003  # JPEG blurs the edge


def test_training_takes_the_frames_that_show_the_whole_skier(tmp_path: Path) -> None:
    root = write_ski(tmp_path)
    assert len(ready(root).dataset("train")) == 7
    assert len(ready(root, whole_skier=False).dataset("train")) == 8


def test_annotation_may_be_missing(tmp_path: Path) -> None:
    root = write_ski(tmp_path)
    shutil.rmtree(root / "Data")
    module = ready(root)
    assert len(module.dataset("train")) == 8 and len(module.dataset("test")) == 2
    shutil.rmtree(root / "Segmentation_masks")
    assert set(ready(root).dataset("test")[0]) == {"image", "clip", "index"}


def test_folders_match_without_case_and_large_frames_serve_too(tmp_path: Path) -> None:
    root = write_ski(tmp_path)
    expected = ready(root).dataset("test")[0]["box"].tolist()
    (root / "Videos_Small").rename(root / "Videos_small")
    assert len(ready(root).dataset("test")) == 7
    (root / "Videos_small").rename(root / "Videos")
    assert ready(root).dataset("test")[0]["box"].tolist() == pytest.approx(expected, abs=1e-6)


def test_other_studies_have_other_trials(tmp_path: Path) -> None:
    module = ready(write_ski(tmp_path, trials=(111, 304, 401)), studies=(1, 3))
    assert module.dataset("test").clip_names == ["trial_401_cam1", "trial_401_cam2"]
    with pytest.raises(ValueError, match=r"studies of Ski is .*, expected some of 1, 3"):
        ski(tmp_path, studies=(2,))


def test_strays_and_blind_cameras_are_listed(tmp_path: Path) -> None:
    root = write_ski(tmp_path)
    masks = root / "Segmentation_masks" / "trial_405_cam1"
    shutil.copy(masks / "frame_000003.jpg", masks / "frame_000009.jpg")
    (root / "Data" / "DLT_Parameters" / "PP_Trial_405_CAM2.DLT").write_text("0 0 0\n" * 4)
    module = ready(root)
    assert [problem.clip for problem in module.problems()] == ["trial_405_cam1", "trial_405_cam2"]
    assert "frame_000009.jpg belongs to no frame" in module.problems()[0].reason
    assert "never shows the whole skier" in module.problems()[1].reason


def test_a_camera_that_never_sees_the_skier_does_not_train(tmp_path: Path) -> None:
    root = write_ski(tmp_path)
    for trial in (103, 302):
        (root / "Data" / "DLT_Parameters" / f"PP_Trial_{trial}_CAM2.DLT").write_text("0 0 0\n" * 4)
    module = ready(root)
    assert module.dataset("train").clip_names == ["trial_103_cam1"]
    assert len(module.dataset("val")) == 5  # by its mask, the blind camera's third frame is evaluated all the same
    assert len(ready(root, whole_skier=False).dataset("train")) == 8


def test_a_clip_whose_images_are_broken_is_listed(tmp_path: Path) -> None:
    root = write_ski(tmp_path)
    for path in (root / "Videos_Small" / "trial_405_cam2").iterdir():
        path.write_bytes(b"no image")
    module = ready(root)
    assert module.dataset("test").clip_names == ["trial_405_cam1"]
    assert [problem.clip for problem in module.problems()] == ["trial_405_cam2"]


def test_bad_files_are_named(tmp_path: Path) -> None:
    root = write_ski(tmp_path)
    path = root / "Data" / "3D_Position_Data" / "Trial_405_AllMarker_Raumkoor.mat.csv"
    text = path.read_text()
    path.write_text(text.rsplit(",", 1)[0] + "\n")
    with pytest.raises(ValueError, match=r"Line 5 of .*Trial_405.* has 68 values, expected 69"):
        ready(root)
    path.write_text(text.rsplit(",", 1)[0] + ",x\n")
    with pytest.raises(ValueError, match=r"Line 5 of .*Trial_405.* is not all numbers"):
        ready(root)


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    root = write_ski(tmp_path)
    mask = root / "Segmentation_masks" / "trial_405_cam1" / "frame_000003.jpg"
    shutil.copy(root / "Videos_Small" / "trial_405_cam1" / "frame_000003.jpg", mask)
    ready(root)  # of the frame's size: as good
    Image.new("L", (100, 50), 255).save(mask)
    with pytest.raises(ValueError, match=r"frame 3 of clip 'trial_405_cam1' is 100x50 pixels, its frame is 640x360"):
        ready(root)


def test_wrong_levels_of_the_tree_are_explained(tmp_path: Path) -> None:
    root = write_ski(tmp_path / "data" / "Kuetai")
    crops = write_ski_crops(tmp_path / "other" / "crops")
    cases = {
        tmp_path / "none": r"No folder at .*none",
        root.parent: rf"give {root} as root",
        root / "Videos_Small" / "trial_103_cam1": rf"too deep.*give {root} as root",
        crops / "train": rf"too deep.*give {crops} as root",
        crops.parent: rf"give {crops} as root",
    }
    for path, message in cases.items():
        with pytest.raises(FileNotFoundError, match=message):
            ski(path).setup("test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="give the folder that holds them"):
        ski(tmp_path / "empty").setup("test")
    (root / "Videos_Small").rename(root / "away")
    (root / "Videos_Small").mkdir()
    with pytest.raises(ValueError, match="train split of SkiDataModule is empty"):
        ski(root).setup("fit")


def test_crops_are_split_by_subject(tmp_path: Path) -> None:
    module = ready(write_ski_crops(tmp_path), image_size=SIZE)
    assert module.dataset("train").clip_names == ["train_seq_000_cam_00", "train_seq_000_cam_01"]
    assert module.dataset("val").clip_names == ["train_seq_001_cam_00", "train_seq_001_cam_01"]
    assert module.dataset("test").clip_names == ["test_seq_000_cam_00", "test_seq_000_cam_01"]
    assert len(module.dataset("test")) == 8


def test_crops_have_boxes_of_their_joints(tmp_path: Path) -> None:
    sample = ready(write_ski_crops(tmp_path)).dataset("test")[0]
    # joints from (0.4, 0.3) to (0.6, 0.7) of the crop, sides times 1.6: half-extents 0.16 and 0.32
    assert set(sample) == {"image", "clip", "index", "box"}
    assert sample["box"].tolist() == pytest.approx([0, 0, 0.32 / 2 * 2, 0.64 / 2 * 2], abs=1e-6)


def test_crops_without_held_out_subject_or_joints(tmp_path: Path) -> None:
    root = write_ski_crops(tmp_path)
    for part in ("train", "test"):
        with h5py.File(root / part / "labels.h5", "r+") as file:
            del file["2D"]
            file["subj"][:] = 0
    module = ready(root)
    train, val = (module.dataset(split).clip_names for split in ("train", "val"))  # type: ignore[arg-type]
    assert sorted(train + val) == [f"train_seq_00{seq}_cam_0{camera}" for seq in (0, 1) for camera in (0, 1)]
    assert len({name[:13] for name in train}) == len({name[:13] for name in val}) == 1  # all cameras of a sequence
    assert set(module.dataset("test")[0]) == {"image", "clip", "index"}


def test_every_choice_of_studies_keeps_its_list_of_problems(tmp_path: Path) -> None:
    root, store = write_ski(tmp_path / "data", trials=(103, 302, 405, 111, 304, 406)), tmp_path / "store"
    for trial in (103, 111):
        (root / "Videos_Small" / f"trial_{trial}_cam1" / "frame_000001.jpg").write_bytes(b"no image")
    found = [
        SkiDataModule(str(root), studies=studies, store_dir=str(store), image_size=SIZE).prepare().split(": see ")[1]
        for studies in ((1,), (3,), (1,))
    ]
    clips = [[problem.clip for problem in read_table(Path(file).read_text())] for file in found]
    assert clips == [["trial_103_cam1"], ["trial_111_cam1"], ["trial_103_cam1"]] and found[0] == found[2] != found[1]
