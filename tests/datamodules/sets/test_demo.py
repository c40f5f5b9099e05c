from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from datamodules import DemoDataModule
from datamodules.sets.demo.camera import PRESETS, Preset
from datamodules.sets.demo.data_set import DrawnFrames
from datamodules.sets.demo.figure import Pose, draw_figure, random_look, walk
from datamodules.sets.demo.render import DemoClip, render, render_objects
from datamodules.sets.demo.scene import draw_scene, scene_size

SIZE = (48, 64)


def clip(
    preset: Preset = "handheld", split: str = "train", number: int = 0, frames: int = 6, figures: int = 1
) -> DemoClip:
    return DemoClip(preset, 0, split, number, frames, SIZE, figures)


def demo(cache: Path, **changes: object) -> DemoDataModule:
    arguments: dict[str, object] = {
        "train_clips": 2,
        "val_clips": 1,
        "test_clips": 2,
        "frames_per_clip": 4,
        "image_size": SIZE,
        "num_workers": 0,
        "store_dir": str(cache),
    }
    return DemoDataModule(**{**arguments, **changes})  # type: ignore[arg-type]


def test_rendering_is_deterministic() -> None:
    for (first, mask), (again, mask_again) in zip(render(clip()), render(clip()), strict=True):
        assert np.array_equal(first, again) and np.array_equal(mask, mask_again)


@pytest.mark.parametrize(
    ("preset", "digest"),
    [("static", "75a0b03035c03601"), ("ptz", "13e6f1b12f42e52f"), ("handheld", "8e8d085115f79dcd")],
)
def test_one_figure_is_drawn_as_ever(preset: Preset, digest: str) -> None:
    drawn = hashlib.sha256()  # of what was drawn before there could be several figures
    for image, objects in render(clip(preset, "test", 1, frames=3)):
        drawn.update(image.tobytes() + (objects > 0).tobytes())
    assert drawn.hexdigest()[:16] == digest, "published figures were measured on other pictures: raise VERSION"


@pytest.mark.parametrize("figures", [1, 3])
@pytest.mark.parametrize("preset", PRESETS)
def test_masks_alone_are_those_of_the_frames(preset: Preset, figures: int) -> None:
    beside = [objects for _, objects in render(clip(preset, figures=figures))]
    assert np.array_equal(beside, list(render_objects(clip(preset, figures=figures))))


@pytest.mark.parametrize("figures", [2, 3])
@pytest.mark.parametrize("preset", PRESETS)
def test_several_figures_walk_in_view_each_its_own_way(preset: Preset, figures: int) -> None:
    places = []
    for number in range(2):
        for objects in render_objects(clip(preset, number=number, frames=10, figures=figures)):
            assert set(np.unique(objects)) == set(range(figures + 1))
            columns = [np.flatnonzero((objects == k + 1).any(0)) for k in range(figures)]
            places.append([seen.mean() for seen in columns])
            assert min(len(seen) for seen in columns) > 2
    apart = np.abs(np.diff(np.sort(np.array(places), axis=1), axis=1))
    assert apart.mean() > 0.2 * SIZE[1]
    moved = np.diff(np.array(places).reshape(2, 10, figures), axis=1)
    assert np.ptp(moved, axis=2).max() > 0.5  # not one rigid group


def test_several_figures_are_stored_apart_from_one() -> None:
    assert len({"".join(DrawnFrames(clip(figures=figures)).identity()) for figures in (1, 2, 3)}) == 3


def test_the_batch_says_which_figure_is_where(tmp_path: Path) -> None:
    module = demo(tmp_path, figures=2)
    module.setup("test")
    sample = module.dataset("test")[1]
    (_, objects) = list(render(DemoClip("handheld", 0, "test", 0, 4, SIZE, 2)))[1]
    assert np.array_equal(sample["objects"][0].numpy(), objects)
    assert np.array_equal(sample["mask"][0].numpy(), objects > 0)
    alone = demo(tmp_path)
    alone.setup("test")
    assert "objects" not in alone.dataset("test")[1]


def test_seeds_give_scenes_and_clips_give_figures() -> None:
    assert np.array_equal(draw_scene(0, SIZE), draw_scene(0, SIZE))
    assert np.abs(draw_scene(0, SIZE).astype(int) - draw_scene(1, SIZE)).mean() > 10
    assert scene_size(SIZE)[1] > 2.4 * SIZE[1]
    looks = [random_look(np.random.default_rng([0, 2002, split, n])) for split in range(3) for n in range(6)]
    colours = {tuple(np.round(look.textures["torso"].mean((0, 1)), 3)) for look in looks}
    assert len(colours) == len(looks)


@pytest.mark.parametrize("preset", PRESETS)
def test_subject_is_as_large_as_promised_and_in_view(preset: Preset) -> None:
    boxes = []
    for number in range(3):
        for mask in render_objects(clip(preset, number=number, frames=12)):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            assert len(rows)
            boxes.append(
                [(columns[0] + columns[-1] + 1) / SIZE[1] - 1, np.ptp(rows) / SIZE[0], np.ptp(columns) / SIZE[1]]
            )
    x, height, width = np.array(boxes).T
    assert 0.5 < height.mean() < 0.75 and height.min() > 0.35 and height.max() < 0.95
    assert 0.15 < width.mean() < 0.42
    assert np.abs(x).max() < {"static": 0.85, "ptz": 0.5, "handheld": 0.75}[preset]


def test_camera_presets_move_as_they_say() -> None:
    def background_motion(preset: Preset) -> float:
        frames = list(render(clip(preset, frames=8)))
        (first, first_mask), (last, last_mask) = frames[0], frames[-1]
        return float(np.abs(first.astype(float) - last)[(first_mask | last_mask) == 0].mean())

    assert background_motion("static") < 0.5 * background_motion("ptz")
    assert background_motion("static") < 0.5 * background_motion("handheld")


def test_mask_is_the_covered_area_without_the_shadow() -> None:
    rng = np.random.default_rng(1)
    (x0, y0), colour, alpha = draw_figure(random_look(rng), Pose(), 40.0, np.array([32.0, 45.0]), SIZE)
    assert 0 <= alpha.min() and alpha.max() <= 1.0001
    assert (colour[alpha == 0] == 0).all()
    rows = np.flatnonzero((alpha > 0.5).any(1)) + y0
    assert abs(np.ptp(rows) - 40) < 4 and abs(rows[-1] - 45) < 3
    empty = draw_figure(random_look(rng), Pose(), 10.0, np.array([500.0, 45.0]), SIZE)
    assert empty[2].size == 0
    assert x0 >= 0


def test_figures_walk_within_their_range() -> None:
    way = walk(np.random.default_rng(0), 60, (-0.8, 0.8))
    assert len(way.poses) == 60 and np.ptp(way.x) > 0.3 and np.abs(way.x).max() < 0.9
    assert np.abs(np.diff(way.x)).max() < 0.15


def test_the_second_run_draws_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = demo(tmp_path)
    first.prepare_data()
    monkeypatch.setattr("datamodules.sets.demo.data_set.render", lambda _: pytest.fail("drawn again"))
    first.setup()
    second = demo(tmp_path)
    second.setup()
    assert np.array_equal(first.dataset("test").clips[0].read([1]), second.dataset("test").clips[0].read([1]))


def test_stored_frames_and_masks_are_the_drawn_ones(tmp_path: Path) -> None:
    module = demo(tmp_path)
    module.setup("test")
    drawn = list(render(DemoClip("handheld", 0, "test", 1, 4, SIZE)))
    for frame, (image, mask) in enumerate(drawn):
        sample = module.dataset("test")[4 + frame]
        assert sample["clip"] == "test_01" and sample["index"] == frame
        assert np.array_equal(sample["image"].permute(1, 2, 0).numpy(), image)
        assert np.array_equal(sample["mask"][0].numpy(), mask > 0)


def test_the_identity_depends_on_every_parameter() -> None:
    changed = [
        clip(),
        clip("ptz"),
        clip(split="test"),
        clip(number=1),
        clip(frames=7),
        DemoClip("handheld", 1, "train", 0, 6, SIZE),
        DemoClip("handheld", 0, "train", 0, 6, (64, 64)),
        clip(figures=2),
    ]
    assert len({tuple(DrawnFrames(entry).identity()) for entry in changed}) == len(changed)


def test_more_clips_do_not_change_the_others(tmp_path: Path) -> None:
    small, large = demo(tmp_path, val_clips=0), demo(tmp_path, train_clips=3)
    small.setup("test")
    large.setup("test")
    assert np.array_equal(small.dataset("test").clips[1].read(range(4)), large.dataset("test").clips[1].read(range(4)))


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected static, ptz or handheld"):
        demo(tmp_path, preset="drone")
    with pytest.raises(ValueError, match="figures of Demo is 4, expected 1, 2 or 3"):
        demo(tmp_path, figures=4)
    with pytest.raises(ValueError, match="frames_per_clip"):
        demo(tmp_path, frames_per_clip=0)
    with pytest.raises(ValueError, match="val split of DemoDataModule is empty"):
        demo(tmp_path, val_clips=0).setup("fit")
