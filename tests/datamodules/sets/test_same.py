"""Clips of the benchmarks that are copies of one another, byte by byte, under two names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules import DavisDataModule
from datamodules.clips.splits import SPLITS
from datamodules.sets.cdnet import Cdnet
from datamodules.sets.data_set import ClipDataSet
from datamodules.sets.davis import Davis
from datamodules.sets.fbms import Fbms
from datamodules.sets.sbi import Sbi
from datamodules.sets.segtrack import Segtrack
from tests.fake_data import SIZE, write_cdnet, write_davis, write_fbms, write_sbi, write_segtrack


def write_davis_without_lists(root: Path) -> Path:
    return write_davis(root, lists=False)


MASKS = {"groundtruth", "GroundTruth", "Annotations"}
UNLISTED = [(Cdnet, write_cdnet), (Sbi, write_sbi), (Segtrack, write_segtrack), (Davis, write_davis_without_lists)]


@pytest.mark.parametrize(("kind", "write"), UNLISTED)
@pytest.mark.parametrize("annotated", ["first", "copy"])
def test_a_copy_is_counted_once_and_the_annotated_one_stays(
    kind: type[ClipDataSet], write: Callable[[Path], Path], annotated: str, tmp_path: Path
) -> None:
    root = write(tmp_path)
    names = [clip.name for clip in kind(root).split_clips("test")]
    category, _, first = names[0].rpartition("/")
    for folder in list(root.rglob(first)):
        shutil.copytree(folder, folder.parent / "zz")
    for folder in list(root.rglob("zz" if annotated == "first" else first)):
        for masks in (folder, folder / "groundtruth"):
            if masks.is_dir() and MASKS & {*masks.relative_to(root).parts}:
                shutil.rmtree(masks)
    copy = f"{category}/zz".lstrip("/")
    stays, leaves = (names[0], copy) if annotated == "first" else (copy, names[0])
    data_set = kind(root)
    for split in SPLITS:
        found = {clip.name: clip for clip in data_set.split_clips(split)}
        assert found.keys() == {*names, stays} - {leaves} and found[stays].masks
    said = f"Clip '{leaves}' is the same recording as clip '{stays}': left out."
    assert said in data_set.findings.said and data_set.recordings.same == {leaves: stays}


@pytest.mark.parametrize("kind", [Davis, Fbms])
def test_a_copy_stays_where_the_benchmark_lists_its_splits_and_is_said(kind: type[ClipDataSet], tmp_path: Path) -> None:
    """One of the training clips becomes a test clip, too."""
    if kind is Davis:
        root = write_davis(tmp_path)
        for part in ("JPEGImages", "Annotations"):
            shutil.rmtree(root / part / "480p" / "camel")
            shutil.copytree(root / part / "480p" / "bear", root / part / "480p" / "camel")
    else:
        root = write_fbms(tmp_path)
        for clip in (root / "Testset").iterdir():
            shutil.rmtree(clip)
        first = next((root / "Trainingset").iterdir())
        shutil.copytree(first, root / "Testset" / "camel")
    data_set = kind(root, val_share=0)
    (clip,) = data_set.split_clips("test")
    assert clip.name == "camel" and clip.recording in [one.name for one in data_set.split_clips("train")]
    assert f"Clip 'camel' is the same recording as clip '{clip.recording}'." in data_set.findings.said


def test_figures_of_a_copy_that_was_trained_on_are_transductive(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    shutil.rmtree(root / "JPEGImages" / "480p" / "camel")
    shutil.copytree(root / "JPEGImages" / "480p" / "bear", root / "JPEGImages" / "480p" / "camel")
    module = DavisDataModule(str(root), image_size=SIZE, num_workers=0, val_share=0)
    assert module.transductive is True


def test_clips_that_are_named_stay(tmp_path: Path) -> None:
    root = write_segtrack(tmp_path)
    for part in ("JPEGImages", "GroundTruth"):
        shutil.copytree(root / part / "birdfall", root / part / "zz")
    data_set = Segtrack(root, clips=["birdfall", "zz"])
    assert [(clip.name, clip.recording) for clip in data_set.split_clips("test")] == [
        ("birdfall", "birdfall"), ("zz", "birdfall")
    ]  # fmt: skip
