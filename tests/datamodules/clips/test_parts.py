"""Holding out the end of a clip: no frame on both sides, annotation and plates included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules import DavisDataModule, VideosDataModule
from datamodules.clips.clip import Clip
from datamodules.clips.parts import hold_out
from datamodules.plates.temporal import TemporalPlates
from datamodules.readers import ImageFrames, Pixels
from datamodules.sets.davis import Davis
from tests.fake_data import write_images


def mask() -> NDArray[np.bool_]:
    return np.zeros((24, 32), dtype=bool)


def made(clip: Clip) -> dict[int, Mapping[str, Pixels]]:
    """The plates of a clip's frames by frame number."""
    return dict(TemporalPlates().make(clip.source, clip.source.original_size(), clip.keeps))


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    write_images(tmp_path, frames=10)
    frames = ImageFrames(tmp_path)
    return Clip("run", frames, {number: mask for number in frames.indices}, boxes={9: (0, 0, 4, 4)})


def test_the_parts_share_no_frame_and_lose_none(clip: Clip) -> None:
    first, _, last = hold_out(clip, 0.2)
    numbers = [[number for number, _ in part.source.frames()] for part in (first, last)]
    assert numbers == [list(range(8)), [8, 9]]
    assert [len(part.source) for part in (first, last)] == [8, 2]
    assert [list(first.masks), list(last.masks)] == numbers and (list(first.boxes), list(last.boxes)) == ([], [9])
    assert (first.name, last.name) == ("run (first 80%)", "run (last 20%)")
    assert list(first.source.identity()) != list(last.source.identity())
    assert first.source.original_size() == clip.source.original_size()


def test_what_validates_lies_between(clip: Clip) -> None:
    first, between, last = hold_out(clip, 0.2, 0.25)
    assert between is not None
    found = [[n for n, _ in part.source.frames(keep=part.keeps)] for part in (first, between, last)]
    assert found == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]
    assert [part.name for part in (first, between, last)] == ["run (first 60%)", "run (60% to 80%)", "run (last 20%)"]
    assert [sorted(part.masks) for part in (first, between, last)] == found
    plates = made(between)
    assert list(plates) == [6, 7] and all(plate["covered"].any() for plate in plates.values())  # by the frames before


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_of_what_is_sampled_some_frames_validate_but_never_all(clip: Clip, share: float) -> None:
    first, between, last = hold_out(Clip("run", clip.source, every_nth=3), 0.25, share)
    assert between is not None
    found = [[n for n, _ in part.source.frames(keep=part.keeps)] for part in (first, between, last)]
    assert found == ([[0, 3], [6], [9]] if share < 0.5 else [[0], [3, 6], [9]])
    assert hold_out(Clip("run", clip.source, every_nth=9), 0.5, share)[1] is None


def test_a_plate_of_one_part_has_seen_nothing_of_the_other(clip: Clip, tmp_path: Path) -> None:
    whole = made(clip)
    first, _, _ = hold_out(clip, 0.5)
    plates = made(first)
    assert list(plates) == list(range(5))
    alone = ImageFrames(clip.source.folder, clip.source.names[:5])  # type: ignore[attr-defined]
    expected = made(Clip("run", alone))
    assert all(np.array_equal(plates[n][name], expected[n][name]) for n in plates for name in plates[n])
    assert any(not np.array_equal(plates[n]["plate"], whole[n]["plate"]) for n in plates)


def test_the_share_is_of_the_frames_that_are_chosen(clip: Clip) -> None:
    first, _, last = hold_out(Clip("run", clip.source, chosen=frozenset({2, 3, 4, 5})), 0.5)
    assert (first.chosen, last.chosen) == ({2, 3}, {4, 5})


def test_annotated_frames_beside_the_chosen_ones_are_not_lost(clip: Clip) -> None:
    sampled = Clip("run", clip.source, {0: mask, 9: mask}, chosen=frozenset({2, 4, 6, 7}))
    first, _, last = hold_out(sampled, 0.5)
    assert (list(first.masks), list(last.masks)) == ([0], [9])


def test_a_clip_too_short_to_be_cut_is_left_out_and_listed(tmp_path: Path) -> None:
    for number, frames in enumerate((1, 10)):
        write_images(tmp_path / "data" / f"run{number}", number, frames)
    (tmp_path / "data" / "splits.json").write_text(json.dumps({s: ["run0", "run1"] for s in ("train", "val", "test")}))
    data = VideosDataModule(str(tmp_path / "data"), held_out=0.2, image_size=(24, 32), num_workers=0)
    data.setup()
    assert [clip.name for clip in data.dataset("test").clips] == ["run1 (last 20%)"]
    assert any(problem.clip == "run0" and "too few to hold out" in problem.reason for problem in data.problems())


def test_too_few_frames_are_refused(clip: Clip) -> None:
    with pytest.raises(ValueError, match="'run' has 10 frames, too few to hold out 1%"):
        hold_out(clip, 0.01)


def test_only_clips_on_both_sides_are_cut(davis: Path) -> None:
    names = Davis(davis).available_clips()

    def clips(**options: object) -> dict[str, list[str]]:
        data = DavisDataModule(str(davis), held_out=0.34, image_size=(24, 32), **options)  # type: ignore[arg-type]
        data.setup()
        return {split: list(dict.fromkeys(c.name for c in data.dataset(split).clips)) for split in ("train", "test")}  # type: ignore[arg-type]

    assert clips(clips=names[:1]) == {"train": [f"{names[0]} (first 59%)"], "test": [f"{names[0]} (last 34%)"]}
    assert clips(clips=names[:1], evaluated_part="trained")["test"] == [f"{names[0]} (first 59%)"]
    official = clips()
    assert not any("%" in name for found in official.values() for name in found)


def test_an_impossible_share_is_refused(davis: Path) -> None:
    with pytest.raises(ValueError, match="held_out"):
        DavisDataModule(str(davis), held_out=1.0)
