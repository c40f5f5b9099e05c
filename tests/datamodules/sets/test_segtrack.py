"""SegTrack v2 in its layout: the union of a clip's objects, and frames that one of them has no mask for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules.sets.davis import Davis
from datamodules.sets.segtrack import Segtrack
from tests.fake_data import draw_frame, save, write_segtrack


def test_all_objects_together_are_the_subject(tmp_path: Path) -> None:
    """The two objects of the second clip are the halves of its subject."""
    for number, clip in enumerate(Segtrack(write_segtrack(tmp_path)).split_clips("test")):
        assert list(clip.masks) == list(range(18, 24))
        for frame in range(6):
            assert (clip.masks[18 + frame]() == draw_frame(number, frame)[1]).all()


def test_soft_edges_are_parted_in_the_middle(tmp_path: Path) -> None:
    root = write_segtrack(tmp_path)
    values = np.where(draw_frame(0, 0)[1], 255, 0).astype(np.uint8)
    values[0, :3] = 100, 127, 128
    save(root / "GroundTruth" / "birdfall" / "birdfall_00018.png", values)
    mask = Segtrack(root).split_clips("test")[0].masks[18]()
    assert mask[0, :3].tolist() == [False, False, True] and mask.sum() == draw_frame(0, 0)[1].sum() + 1


def test_a_frame_without_one_of_its_objects_is_not_scored(tmp_path: Path) -> None:
    root = write_segtrack(tmp_path)
    (root / "GroundTruth" / "cheetah" / "2" / "cheetah_00020.bmp").unlink()
    data_set = Segtrack(root)
    clip = data_set.split_clips("test")[1]
    assert list(clip.masks) == [18, 19, 21, 22, 23]
    (problem,) = data_set.findings.noticed
    assert (problem.clip, problem.frame) == ("cheetah", 20) and "cheetah/2 has no mask of it" in problem.reason


def test_a_frame_with_two_masks_of_one_object_is_refused(tmp_path: Path) -> None:
    root = write_segtrack(tmp_path)
    save(root / "GroundTruth" / "birdfall" / "birdfall_00018.bmp", np.zeros((48, 64), np.uint8))
    with pytest.raises(ValueError, match=r"birdfall_00018\.bmp and .*birdfall_00018\.png are both masks of one frame"):
        Segtrack(root).split_clips("test")


def test_masks_that_are_not_used_and_values_besides_two_are_noticed(tmp_path: Path) -> None:
    """A folder without masks, as other programs leave them, is no object."""
    root = write_segtrack(tmp_path)
    truth = root / "GroundTruth"
    (truth / "birdfall" / ".thumbnails").mkdir()
    save(truth / "birdfall" / "overview.png", np.zeros((48, 64), np.uint8))
    save(truth / "cheetah" / "cheetah_00018.png", np.zeros((48, 64), np.uint8))
    data_set = Segtrack(root)
    birdfall, cheetah = data_set.split_clips("test")
    assert len(birdfall.masks) == len(cheetah.masks) == 6
    values = np.full((48, 64), 85, np.uint8)
    values[0, 0] = 0
    save(truth / "birdfall" / "birdfall_00018.png", np.where(draw_frame(0, 0)[1], 255, values).astype(np.uint8))
    assert (birdfall.masks[18]() == draw_frame(0, 0)[1]).all()
    said = sorted(problem.reason for problem in data_set.findings.noticed)
    assert said[0] == f"1 mask of no frame, such as {truth / 'birdfall' / 'overview.png'}: not used"
    assert "cheetah_00018.png lies beside the folders of the objects: not used" in said[1]
    assert "there are values besides two; those above 127 are the subject" in said[2]


def test_masks_of_different_sizes_are_refused(tmp_path: Path) -> None:
    root = write_segtrack(tmp_path)
    save(root / "GroundTruth" / "cheetah" / "2" / "cheetah_00018.bmp", np.zeros((4, 5), np.uint8))
    with pytest.raises(ValueError, match=r"1/cheetah_00018.png and .*2/cheetah_00018.bmp differ in size"):
        Segtrack(root).split_clips("test")[1].masks[18]()


def test_it_is_told_from_davis(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="looks like SegTrack v2: DATA=segtrack takes it"):
        Davis(write_segtrack(tmp_path)).split_clips("test")
