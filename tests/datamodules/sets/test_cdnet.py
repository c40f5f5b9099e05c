"""CDnet and SBI in their layout: codes, regions and frames that are scored.

Codes and files are those of changedetection.net's description (Goyette et al. 2012) and of its tool, Comparator.cpp.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from callbacks.scores import SegmentationScores
from datamodules import CdnetDataModule, FramesDataModule, SbiDataModule
from datamodules.sets.cdnet import Cdnet
from datamodules.sets.sbi import Sbi
from tests.fake_data import SIZE, cdnet_codes, draw_frame, save, write_cdnet, write_images, write_sbi


def ready(root: Path, kind: type[FramesDataModule], **options: Any) -> FramesDataModule:  # noqa: ANN401
    module = kind(str(root), image_size=SIZE, num_workers=0, **options)  # type: ignore[misc]
    module.setup()
    return module


def by_hand(codes: NDArray[np.uint8], found: NDArray[np.bool_]) -> dict[str, float]:
    """What the benchmark's own tool counts in one frame, pixel by pixel: outside and unknown are passed over."""
    hit = wrong = missed = 0
    for code, ours in zip(codes.ravel().tolist(), found.ravel().tolist(), strict=True):
        if code not in (85, 170):
            hit += code == 255 and ours
            wrong += code != 255 and ours
            missed += code == 255 and not ours
    precision, recall = hit / (hit + wrong), hit / (hit + missed)
    return {"precision": precision, "recall": recall, "f_measure": 2 * precision * recall / (precision + recall)}


def test_scores_are_counted_as_the_benchmark_s_tool_does(tmp_path: Path) -> None:
    """With shadows that are background, and unknown and outer pixels that are not counted."""
    dataset = ready(write_cdnet(tmp_path), CdnetDataModule, clips=["PTZ/zoom"]).dataset("test")
    assert len(dataset) == 4  # temporalROI.txt leaves out two
    for position in range(4):
        sample = dataset[position]
        assert int(sample["index"]) == 3 + position
        codes = cdnet_codes(1, 2 + position)
        found = np.random.default_rng(position).random(SIZE) > 0.4
        scores = SegmentationScores(boundary=False, ranking=False)
        soft, truth, known = torch.from_numpy(found)[None, None].float(), sample["mask"][None], sample["known"][None]
        scores.update(soft, truth, torch.zeros(1, 4), torch.ones(1), ["a"], torch.zeros(1).long(), known=known)
        row = scores.frames()[0]
        expected = by_hand(codes, found)
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_the_file_of_the_region_of_interest_counts(tmp_path: Path) -> None:
    """Where ROI.bmp is black nothing is known, whatever the mask says; without it the codes alone count."""
    root = write_cdnet(tmp_path, clips=("baseline/highway",))
    inside = np.full(SIZE, 255, np.uint8)
    inside[:, :20] = 0
    save(root / "baseline" / "highway" / "ROI.bmp", inside)
    codes = cdnet_codes(0, 2)
    (clip,) = Cdnet(root).split_clips("test")
    mask = clip.masks[3]()
    assert (np.ma.getmaskarray(mask) == (np.isin(codes, (85, 170)) | (inside == 0))).all()
    assert (np.ma.filled(mask, False) == ((codes == 255) & (inside > 0))).all()
    (root / "baseline" / "highway" / "ROI.bmp").unlink()
    (clip,) = Cdnet(root).split_clips("test")
    assert (np.ma.getmaskarray(clip.masks[3]()) == np.isin(codes, (85, 170))).all()
    save(root / "baseline" / "highway" / "ROI.bmp", inside[:10])
    data_set = Cdnet(root)
    (clip,) = data_set.split_clips("test")
    assert (np.ma.getmaskarray(clip.masks[3]()) == np.isin(codes, (85, 170))).all()
    (problem,) = data_set.findings.noticed
    assert problem.reason.endswith("ROI.bmp is not used, as its size is another one")


def test_frames_of_which_nothing_is_known_are_not_scored(tmp_path: Path) -> None:
    """The benchmark keeps some masks to itself: they are 85 throughout."""
    root = write_cdnet(tmp_path, clips=("baseline/highway",))
    save(root / "baseline" / "highway" / "groundtruth" / "gt000005.png", np.full(SIZE, 85, np.uint8))
    module = ready(root, CdnetDataModule)
    assert module.dataset("test").frame_numbers(0).tolist() == [3, 4, 6]
    said = [problem.reason for problem in module.problems()]
    assert said == ["1 mask of which no pixel is known: these frames are not scored"]


@pytest.mark.parametrize("content", ["470", "470 1700 3", "all of them", "470 " + "9" * 5000, ""])
def test_a_damaged_list_of_frames_is_named(tmp_path: Path, content: str) -> None:
    root = write_cdnet(tmp_path)
    (root / "baseline" / "highway" / "temporalROI.txt").write_text(content)
    with pytest.raises(ValueError, match=r"highway/temporalROI\.txt does not hold two frame numbers"):
        Cdnet(root).split_clips("train")


def test_other_values_and_strays_are_noticed(tmp_path: Path) -> None:
    root = write_cdnet(tmp_path, clips=("baseline/highway",))
    truth = root / "baseline" / "highway" / "groundtruth"
    codes = cdnet_codes(0, 2)
    codes[-1, -1] = 7
    save(truth / "gt000003.png", codes)
    save(truth / "gt000099.png", codes)
    save(truth / "overview.png", codes)
    said = sorted(problem.reason for problem in ready(root, CdnetDataModule).problems())
    assert said[0].endswith("overview.png has no frame's number in its name: not used")
    assert said[1] == f"1 mask of no frame, such as {truth / 'gt000099.png'}: not used"
    assert said[2] == "masks: there are values that stand for nothing (7): these pixels are left out of the scores"
    save(truth / "gt3.png", codes)
    with pytest.raises(ValueError, match=r"gt3\.png and .*gt000003\.png are both masks of frame 3"):
        Cdnet(root).split_clips("test")


def test_all_clips_train_and_test_or_those_that_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_cdnet(tmp_path, clips=("baseline/highway", "baseline/office", "PTZ/zoom"))
    assert Cdnet(root).available_clips() == ["baseline/highway", "baseline/office", "PTZ/zoom"]
    with caplog.at_level("INFO", "datamodules"):
        assert ready(root, CdnetDataModule).transductive is True
    assert any("Transductive: clip 'baseline/highway' and 2 more" in line for line in caplog.messages)
    chosen = Cdnet(root, clips=["PTZ/zoom"])
    assert [clip.name for clip in chosen.split_clips("train")] == ["PTZ/zoom"]
    with pytest.raises(ValueError, match=r"Clip 'highway' of the argument clips is not in .*; available: baseline/"):
        Cdnet(root, clips=["highway"]).split_clips("test")


def test_clips_of_another_shape_are_announced(tmp_path: Path) -> None:
    root = write_cdnet(tmp_path)
    write_images(root / "baseline" / "wide" / "input", size=(48, 128), first=1, pattern="in{:06d}.jpg")
    data_set = Cdnet(root, image_size=SIZE)
    data_set.split_clips("train")
    (line,) = data_set.findings.said
    assert line.startswith("1 clip of 3 will be stretched to 64x48, most often from 128x48, such as 'baseline/wide'")


def test_masks_of_sbi_may_have_one_for_what_moves(tmp_path: Path) -> None:
    board, candela = Sbi(write_sbi(tmp_path)).split_clips("test")
    assert (board.name, candela.name) == ("Board", "Candela_m1.10")
    assert list(candela.masks) == candela.source.indices == list(range(50, 56))  # type: ignore[attr-defined]
    codes = cdnet_codes(0, 1)
    assert (np.ma.getmaskarray(board.masks[51]()) == np.isin(codes, (85, 170))).all()
    assert (np.ma.filled(board.masks[51](), False) == (codes == 255)).all()
    assert (candela.masks[51]() == draw_frame(1, 1)[1]).all()
    assert "known" in ready(tmp_path, SbiDataModule).dataset("test")[0]


def test_a_mask_in_colours_of_grey_is_read(tmp_path: Path) -> None:
    root = write_sbi(tmp_path)
    path = root / "Board" / "groundtruth" / "gt000050.png"
    Image.open(path).convert("RGB").save(path)
    assert (np.ma.filled(Sbi(root).split_clips("test")[0].masks[50](), False) == (cdnet_codes(0, 0) == 255)).all()


def test_a_mask_goes_by_the_number_in_the_name_of_its_frame(tmp_path: Path) -> None:
    """Also where an image beside the frames has none, so that frames are counted by their places, from 0."""
    root = write_cdnet(tmp_path, clips=("baseline/highway",))
    folder = root / "baseline" / "highway" / "input"
    save(folder / "overview.jpg", np.zeros((*SIZE, 3), np.uint8))
    (clip,) = Cdnet(root).split_clips("test")
    assert list(clip.masks) == [2, 3, 4, 5]
    for frame, mask in clip.masks.items():
        assert (np.ma.filled(mask(), False) == (cdnet_codes(0, frame) == 255)).all()
    shutil.copy(folder / "in000004.jpg", folder / "in4.jpg")
    with pytest.raises(ValueError, match=r"highway/input have the number 4, as in000004 has: keep one"):
        Cdnet(root).split_clips("test")


@pytest.mark.parametrize("content", ["6 3", "100 200"])
def test_a_list_of_frames_that_scores_none_is_said(tmp_path: Path, content: str) -> None:
    root = write_cdnet(tmp_path, clips=("baseline/highway",))
    (root / "baseline" / "highway" / "temporalROI.txt").write_text(content)
    data_set = Cdnet(root)
    assert not data_set.split_clips("test")[0].masks
    (problem,) = data_set.findings.noticed
    first, last = content.split()
    assert f"temporalROI.txt scores frames {first} to {last} only, and none of these has one" in problem.reason


def test_a_damaged_mask_is_refused_in_one_sentence(tmp_path: Path) -> None:
    root = write_cdnet(tmp_path, clips=("baseline/highway",))
    path = root / "baseline" / "highway" / "groundtruth" / "gt000004.png"
    path.write_bytes(path.read_bytes()[:60])
    (clip,) = Cdnet(root).split_clips("test")
    with pytest.raises(ValueError, match=r"^Cannot read the mask \S+gt000004\.png \([^()]*\): replace [a-z ]+ file\.$"):
        clip.masks[4]()
