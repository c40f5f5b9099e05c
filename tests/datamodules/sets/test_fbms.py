"""FBMS-59 in its layout: what the definition file says of each value, and of which frame a mask is.

The form of the definition file is the one that the data set's evaluation tool reads (Ochs et al. 2014).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from datamodules import FbmsDataModule
from datamodules.clips.clip import Clip
from datamodules.clips.splits import SPLITS
from datamodules.sets.fbms import Fbms
from datamodules.sets.fbms_definition import read_definition
from tests.fake_data import SIZE, draw_frame, fbms_definition, pixel_box, save, write_fbms

NAMES = ["bear01", "cars2", "camel01", "cars10"]


def clips(data_set: Fbms) -> dict[str, Clip]:
    return {clip.name: clip for split in SPLITS for clip in data_set.split_clips(split)}


def test_region_0_is_the_background_whatever_its_value(tmp_path: Path) -> None:
    """White in one clip, black in the other; of the regions beside it one is black, too."""
    found = clips(Fbms(write_fbms(tmp_path)))
    for number, name in enumerate(NAMES):
        assert list(found[name].masks) == [1, 4, 6]
        for frame in (0, 3, 5):
            mask = found[name].masks[1 + frame]()
            assert (mask == draw_frame(number, frame)[1]).all() and not np.ma.getmaskarray(mask).any()


def test_the_two_parts_train_and_test(tmp_path: Path) -> None:
    data_set = Fbms(write_fbms(tmp_path))
    train, val, test = ([clip.name for clip in data_set.split_clips(split)] for split in SPLITS)
    assert sorted(train + val) == ["bear01", "cars2"] and len(val) == 1 and test == ["camel01", "cars10"]
    assert [clip.name for clip in Fbms(tmp_path, clips=["camel01"]).split_clips("train")] == ["camel01"]
    shutil.rmtree(tmp_path / "Trainingset")
    assert [[clip.name for clip in Fbms(tmp_path).split_clips(split)] for split in SPLITS] == [test] * 3


def test_the_folders_of_the_archives_may_be_kept(tmp_path: Path) -> None:
    write_fbms(tmp_path)
    for part in ("Trainingset", "Testset"):
        (tmp_path / f"FBMS_{part}").mkdir()
        (tmp_path / part).rename(tmp_path / f"FBMS_{part}" / part)
    assert sorted(clips(Fbms(tmp_path))) == sorted(NAMES)


def test_further_regions_of_the_background_are_said(tmp_path: Path) -> None:
    """In marple7 region 2, the right half of the subject here, is background; an argument says otherwise."""
    root = write_fbms(tmp_path)
    (root / "Testset" / "camel01").rename(root / "Testset" / "marple7")
    data_set = Fbms(root)
    mask = clips(data_set)["marple7"].masks[1]()
    true = draw_frame(2, 0)[1]
    left, _, right, _ = pixel_box(true)
    assert (mask == true & (np.arange(SIZE[1]) < (left + right) // 2)).all()
    said = "Masks of clip 'marple7': regions 0, 2 are taken as background, see the argument background_regions."
    assert said in data_set.findings.said
    assert (clips(Fbms(root, background_regions={}))["marple7"].masks[1]() == true).all()
    module = FbmsDataModule(str(root), background_regions={"marple7": [0, 1]}, image_size=SIZE, num_workers=0)
    assert isinstance(module.data_set, Fbms)
    assert (clips(module.data_set)["marple7"].masks[1]() == true & (np.arange(SIZE[1]) >= (left + right) // 2)).all()


def test_values_that_are_not_listed_are_unknown_and_said(tmp_path: Path) -> None:
    root = write_fbms(tmp_path)
    path = root / "Testset" / "cars10" / "GroundTruth" / "cars10_01.pgm"
    values = np.where(draw_frame(3, 0)[1], 85, 0).astype(np.uint8)
    values[0] = 9
    save(path, values)
    module = FbmsDataModule(str(root), image_size=SIZE, num_workers=0)
    module.setup("test")
    dataset = module.dataset("test")
    sample = next(dataset[n] for n, at in enumerate(dataset.frame_names()) if at == ("cars10", 1))
    assert (~sample["known"][0]).nonzero().unique(dim=0).tolist() == [[0, x] for x in range(SIZE[1])]
    (problem,) = module.problems()
    assert problem.clip == "cars10" and "values that stand for nothing (9)" in problem.reason


def test_a_mask_belongs_to_the_frame_of_its_name_or_else_of_its_place(tmp_path: Path) -> None:
    root = write_fbms(tmp_path)
    folder = root / "Testset" / "cars10" / "GroundTruth"
    (folder / "cars10_04.pgm").rename(folder / "other.pgm")
    labelled = [(9, "cars10_01.pgm", "x.ppm"), (3, "other.pgm", "y.ppm"), (8, "lost.pgm", "z.ppm")]
    labelled += [(5, "gone.pgm", "cars10_06.ppm")]
    (folder / "cars10Def.dat").write_text(fbms_definition((0, 85, 170), labelled, 6))
    data_set = Fbms(root)
    assert list(clips(data_set)["cars10"].masks) == [1, 4]
    said = [(problem.frame, problem.reason) for problem in data_set.findings.noticed]
    assert [frame for frame, _ in said] == [None, None, 6]
    assert said[0][1].startswith("masks: images have other names than the definition file has, so it goes by their pl")
    assert "lost.pgm is the mask of no frame" in said[1][1] and "gone.pgm is not there: not scored" in said[2][1]


def test_places_say_nothing_where_a_frame_is_missing(tmp_path: Path) -> None:
    root = write_fbms(tmp_path)
    folder = root / "Testset" / "cars10"
    (folder / "GroundTruth" / "cars10_04.pgm").rename(folder / "GroundTruth" / "other.pgm")
    labelled = [(3, "other.pgm", "y.ppm")]
    (folder / "GroundTruth" / "cars10Def.dat").write_text(fbms_definition((0, 85, 170), labelled, 6))
    assert list(clips(Fbms(root))["cars10"].masks) == [4]
    (folder / "cars10_01.jpg").unlink()
    data_set = Fbms(root)
    assert not clips(data_set)["cars10"].masks
    (problem,) = data_set.findings.noticed
    assert "other.pgm is the mask of no frame: not used" in problem.reason


def test_two_masks_of_a_frame_and_two_definitions_are_refused(tmp_path: Path) -> None:
    root = write_fbms(tmp_path)
    folder = root / "Testset" / "cars10" / "GroundTruth"
    labelled = [(0, "cars10_01.pgm", "cars10_01.ppm"), (0, "cars10_04.pgm", "cars10_01.ppm")]
    (folder / "cars10Def.dat").write_text(fbms_definition((0, 85, 170), labelled, 6))
    with pytest.raises(ValueError, match=r"cars10_01\.pgm and .*cars10_04\.pgm are both masks of frame 1: keep one"):
        Fbms(root).split_clips("test")
    (folder / "a.dat").write_text(fbms_definition((0, 255), labelled[:1], 6))
    with pytest.raises(ValueError, match=r"a\.dat and .*cars10Def\.dat are both definition files of clip 'cars10'"):
        Fbms(root).split_clips("test")


def test_a_background_that_the_clip_has_not_is_refused(tmp_path: Path) -> None:
    root = write_fbms(tmp_path)
    with pytest.raises(ValueError, match=r"has regions 0 to 2, and background_regions names none of them"):
        Fbms(root, background_regions={"cars10": [7]}).split_clips("test")


def test_masks_without_a_definition_are_not_used(tmp_path: Path) -> None:
    root = write_fbms(tmp_path)
    (root / "Testset" / "cars10" / "GroundTruth" / "cars10Def.dat").unlink()
    data_set = Fbms(root)
    assert not clips(data_set)["cars10"].masks
    assert [problem.reason.split(" has ")[1] for problem in data_set.findings.noticed] == [
        "no definition file (.dat): not evaluated"
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("regions:\n3", "regions:\n4", "does not list the regions and frames that it counts"),
        ("this shot:\n3", "this shot:\n2", "does not list the regions and frames that it counts"),
        ("Scale of region 0:\n0", "Scale of region 0:\nblack", "has 'black' where a number is expected"),
        ("Frame number:\n3", "Frame number:\n" + "3" * 5000, "has '3{40}' where a number is expected"),
        ("Total number of regions:", "", "does not list"),
    ],
)
def test_a_damaged_definition_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = write_fbms(tmp_path) / "Testset" / "cars10" / "GroundTruth" / "cars10Def.dat"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"cars10Def\.dat {said}"):
        read_definition(file)


def test_a_definition_names_files_of_its_own_folder_only(tmp_path: Path) -> None:
    file = tmp_path / "a.dat"
    file.write_text(fbms_definition((0, 255), [(0, "../elsewhere.pgm", "a_01.ppm")], 1))
    assert read_definition(file).frames[0].mask == tmp_path / "elsewhere.pgm"


def test_one_name_in_both_parts_is_refused(tmp_path: Path) -> None:
    root = write_fbms(tmp_path)
    shutil.copytree(root / "Testset" / "camel01", root / "Trainingset" / "camel01")
    with pytest.raises(ValueError, match=r"Testset/camel01 would both be clip 'camel01'"):
        Fbms(root).split_clips("test")
