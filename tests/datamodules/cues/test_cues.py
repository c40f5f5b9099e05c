"""Targets without labels: the camera, what moves beside it, its colours, and the cut, on scenes with a known answer."""

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import product

import cv2
import numpy as np
import pytest

from backdrop.stops import stopped_by
from datamodules.clips.parts import Part
from datamodules.cues.camera import camera_flow, weighted_median
from datamodules.cues.colour import Coloured, bin_log_odds, colour_log_odds
from datamodules.cues.confirmed import LEAST, confirmed
from datamodules.cues.cut import Cuttable, cut, cut_in_windows, minimum_cut
from datamodules.cues.flow import WorkingSize, dense_flow, flows_around
from datamodules.cues.fusion import overlap
from datamodules.cues.motion import in_own_units, motion_log_odds, speed
from datamodules.cues.targets import Targets, near_kept
from datamodules.readers import Broken, Keep, Pixels

SIZE = WorkingSize.of((120, 160), 120)


def texture(seed: int, size: tuple[int, int], centre: int = 128) -> Pixels:
    """A smooth random picture."""
    noise = np.random.default_rng(seed).integers(centre - 90, centre + 90, (*size, 3)).clip(0, 255).astype(np.uint8)
    return cv2.normalize(
        cv2.GaussianBlur(noise, (0, 0), 2.0), None, centre - 100, min(255, centre + 100), cv2.NORM_MINMAX
    )


class Square:
    """A textured square crosses a textured scene that pans."""

    def __init__(self, count: int, pan: int = 1, speed: int = 3) -> None:
        self.count, self.pan, self.speed = count, pan, speed
        self.scene, self.square = texture(0, (140, 400)), texture(1, (40, 40), 150)
        self.square[..., 2] //= 3

    def __len__(self) -> int:
        return self.count

    def mask(self, t: int) -> np.ndarray:
        mask = np.zeros((120, 160), bool)
        x = 20 + self.speed * t
        mask[40:80, x : x + 40] = True
        return mask

    def frame(self, t: int) -> Pixels:
        image = self.scene[10:130, self.pan * t : self.pan * t + 160].copy()
        image[self.mask(t)] = self.square.reshape(-1, 3)
        return image

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        assert size == (120, 160)
        for t in range(self.count):
            if keep is None or keep(t, 10 * t):
                yield 10 * t, self.frame(t)

    def identity(self) -> Iterator[str]:
        yield "square"

    def original_size(self) -> tuple[int, int]:
        return 120, 160


def greys(clip: Square) -> list[Pixels]:
    return [cv2.cvtColor(clip.frame(t), cv2.COLOR_RGB2GRAY) for t in range(clip.count)]


def affine_flow(size: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return np.stack([3 + 0.02 * x - 0.01 * y, -1 + 0.01 * x + 0.03 * y], axis=2)


def test_working_size_keeps_the_shape() -> None:
    assert WorkingSize.of((480, 854)) == ((240, 427), (120, 214))
    assert WorkingSize.of((136, 200)) == ((240, 353), (120, 176))
    assert WorkingSize.of((1920, 1080)) == ((427, 240), (214, 120))
    assert WorkingSize.of((200, 4000)) == ((48, 960), (24, 480))
    assert WorkingSize.of((1, 1)) == ((240, 240), (120, 120))


def test_flow_of_a_shift_is_that_shift() -> None:
    clip = Square(2, pan=2, speed=0)
    flow = dense_flow(*greys(clip), SIZE.grid)
    assert flow.shape == (60, 80, 2)
    assert np.allclose(np.median(flow[:15], axis=(0, 1)), [-2, 0], atol=0.1)


def test_flow_leads_only_to_frames_that_are_there() -> None:
    assert set(flows_around(greys(Square(4)), 1, SIZE.grid)) == {1, -1, 2}


def test_weighted_median_is_that_of_repeated_values() -> None:
    values, counts = np.array([5.0, 1, 3, 2]), np.array([1, 2, 4, 2])
    assert weighted_median(values, counts) == np.median(np.repeat(values, counts))


def test_camera_is_found_behind_a_subject() -> None:
    flow = affine_flow((60, 80))
    rng = np.random.default_rng(0)
    seen = flow + rng.normal(0, 0.05, flow.shape).astype(np.float32)
    seen[15:45, 20:60] += (6, 2)  # a quarter of the frame
    assert np.abs(camera_flow(seen) - flow).max() < 0.1


def test_camera_is_found_in_pictures() -> None:
    scene = texture(0, (120, 160))
    y, x = np.mgrid[:120, :160].astype(np.float32)
    expected = np.stack([1.5 + 0.01 * (x - 80), -0.5 + 0.01 * (y - 60)], axis=2)
    # the frame that is looked up where the flow leads: other(p + flow) = scene(p), for a flow this smooth
    back = np.array([[1.01, 0, 1.5 - 0.8], [0, 1.01, -0.5 - 0.6]])
    other = cv2.warpAffine(scene, back, (160, 120), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    flow = dense_flow(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY), cv2.cvtColor(other, cv2.COLOR_RGB2GRAY), (120, 160))
    assert np.abs(camera_flow(flow) - expected)[8:-8, 8:-8].max() < 0.1


def test_motion_is_that_of_the_square() -> None:
    clip = Square(13)
    flows = flows_around(greys(clip), 6, SIZE.grid)
    found = in_own_units(speed(flows, {by: camera_flow(flow) for by, flow in flows.items()}))
    small = cv2.resize(clip.mask(6).astype(np.float32), (80, 60), interpolation=cv2.INTER_AREA) > 0.5
    assert overlap(found > 0.45, small) > 0.6
    odds = motion_log_odds(found)
    assert odds[small].mean() > 0.5 > -1 > odds[~small].mean()


def test_motion_needs_flow() -> None:
    with pytest.raises(ValueError, match="at least one other frame"):
        speed({}, {})


def test_pictures_confirm_the_flow_of_the_square_and_not_that_of_the_calm_around_it() -> None:
    """Flow of a textured square spills over a scene of one colour, which no flow moves."""
    def frame(t: int) -> Pixels:
        image = np.full((60, 100, 3), 128, np.uint8)
        image[20:40, 30 + 3 * t : 50 + 3 * t] = texture(1, (20, 20))
        return image

    labs = [cv2.cvtColor(frame(t), cv2.COLOR_RGB2LAB) for t in range(7)]
    flows = {}
    for by in (-3, -1, 1, 3):
        flow = np.zeros((60, 100, 2), np.float32)
        flow[10:50, 20:80, 0] = 2 * 3 * by  # in working pixels, of which a cell has two
        flows[by] = flow
    found = confirmed(labs, 3, flows, {by: np.zeros_like(flow) for by, flow in flows.items()}, 0.5)
    inside, around = found[24:36, 43:55], np.concatenate([found[10:17, 20:80], found[43:50, 20:80]])
    assert inside.mean() > 0.9
    assert around.max() == pytest.approx(LEAST)
    assert found.min() >= np.float32(LEAST) and found.max() <= 1


def test_at_the_end_of_a_clip_one_side_confirms() -> None:
    labs = [cv2.cvtColor(Square(2, pan=0).frame(t), cv2.COLOR_RGB2LAB) for t in range(2)]
    moving = Square(2).mask(0)[..., None] * np.float32([3, 0])
    found = confirmed(labs, 0, {1: moving.astype(np.float32)}, {1: np.zeros((120, 160, 2), np.float32)}, 1.0)
    assert found[44:76, 24:56].mean() > 0.8 and found[:36].max() == pytest.approx(LEAST)


def test_half_is_otsu_and_noise_is_nothing() -> None:
    two = np.repeat(np.float32([0.1, 2.0]), 500).reshape(20, 50)
    strength = in_own_units(two)
    assert strength.min() < 0.5 < strength.max()
    assert in_own_units(np.full((20, 50), 0.001, np.float32)).max() < 0.45


def test_colours_of_the_subject_are_learnt() -> None:
    lab = np.full((20, 30, 3), 60, np.uint8)
    lab[5:15, 10:20] = 200
    odds = np.full((20, 30), -2, np.float32)
    odds[5:13, 10:20] = 2  # the motion misses a part
    frames = [("a", Coloured(lab, odds)), ("b", Coloured(lab, np.zeros_like(odds)))]
    (name, alone), _ = colour_log_odds(frames, reach=0)
    assert name == "a"
    assert (alone[5:15, 10:20] > 1).all() and (alone[:5] < -0.5).all()
    (_, _), (_, borrowed) = colour_log_odds(frames, reach=1)  # the second frame alone tells nothing
    assert (borrowed[5:15, 10:20] > 1).all() and (borrowed[:5] < -0.1).all()


def test_colours_of_nothing_are_even() -> None:
    assert not bin_log_odds(np.zeros((2, 2048))).any()


def energy(labels: np.ndarray, odds: np.ndarray, links: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    tails, heads, costs = links
    return float(-odds[labels].sum() + costs[labels[tails] != labels[heads]].sum())


@pytest.mark.parametrize("seed", range(5))
def test_minimum_cut_is_that_of_all_labellings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i, j in product(range(10), repeat=2) if i < j and rng.random() < 0.4], np.int32)
    links = (pairs[:, 0], pairs[:, 1], rng.integers(0, 2000, len(pairs)).astype(np.float32) / 1000)
    odds = rng.integers(-3000, 3000, 10).astype(np.float32) / 1000
    best = min(energy(np.array(labels), odds, links) for labels in product([False, True], repeat=10))
    assert energy(minimum_cut(odds, links), odds, links) == pytest.approx(best, abs=1e-4)


def test_cut_of_a_frame_fills_holes_up_to_edges() -> None:
    lab = np.full((20, 30, 3), 60, np.uint8)
    lab[5:15, 10:20] = 200
    odds = np.where(lab[..., 0] == 200, np.float32(1), np.float32(-1))
    truth = odds > 0
    odds[8:10, 13:16] = -1  # a hole
    odds[1, 2] = 2  # a speck
    assert (cut([Cuttable(lab, odds, None)])[0] == truth).all()


def test_time_carries_the_subject_along_the_flow() -> None:
    lab = np.random.default_rng(0).integers(0, 255, (2, 12, 16, 3), dtype=np.uint8)
    lab[1, :, 2:] = lab[0, :, :-2]  # everything moves by two
    flow = np.broadcast_to(np.float32([2, 0]), (12, 16, 2))
    odds = np.full((2, 12, 16), -0.1, np.float32)
    odds[0, 4:8, 4:8] = 50
    first, second = cut([Cuttable(lab[0], odds[0], flow), Cuttable(lab[1], odds[1], None)])
    assert first[4:8, 4:8].all() and second[4:8, 6:10].all()
    assert not cut([Cuttable(lab[0], odds[0], None), Cuttable(lab[1], odds[1], None)])[1].any()


def test_targets_follow_the_square() -> None:
    clip = Square(14)
    found = list(Targets(height=120, features="none").targets(clip))
    assert [target.frame_number for target in found] == [10 * t for t in range(14)]
    overlaps = []
    for t, target in enumerate(found):
        large = cv2.resize(target.mask.astype(np.float32), (160, 120)) > 0.5
        overlaps.append(overlap(large, clip.mask(t)))
        assert 0.05 <= target.trust <= 1
    assert np.mean(overlaps) > 0.8, overlaps


def test_planes_of_the_targets_are_bytes_at_the_size_asked_for() -> None:
    clip = Square(14)
    maker = Targets(height=120, features="none")
    made = dict(maker.make(clip, (30, 40), keep=lambda position, number: position % 2 == 1))
    assert list(made) == [10 * t for t in range(1, 14, 2)]
    planes = made[70]
    assert set(planes) == {"motion", "target", "trust"}
    assert all(plane.shape == (30, 40) and plane.dtype == np.uint8 for plane in planes.values())
    truth = cv2.resize(clip.mask(7).astype(np.float32), (40, 30), interpolation=cv2.INTER_AREA) > 0.5
    assert overlap(planes["target"] > 127, truth) > 0.7
    assert len(np.unique(planes["trust"])) == 1


@pytest.mark.parametrize("features", ["none", "footage"])
def test_a_single_frame_says_nothing(features: str) -> None:
    ((_, planes),) = Targets(height=120, features=features).make(Square(1), (30, 40))
    assert not planes["target"].any() and planes["trust"].max() == round(0.05 * 255)


@pytest.mark.parametrize("features", ["none", "footage"])
def test_work_on_targets_can_be_stopped_between_frames_and_between_its_steps(features: str) -> None:
    """How often each step asks is counted by hand: pairs of frames at distances 1, 2, 3 and 6, both ways."""
    frames, asked = 9, list[str]()

    def check() -> None:
        asked.append(sys._getframe(2).f_globals["__name__"].rpartition(".")[2])
        if len(asked) == stop:
            raise InterruptedError

    maker, stop = Targets(height=120, features=features), 0
    with stopped_by(check):
        made = list(maker.make(Square(frames), (30, 40)))
    counts = Counter(asked)
    assert len(made) == frames == counts["targets"] and counts["flow"] == 2 * (8 + 7 + 6 + 3)
    known = features == "footage"  # learnt in two ways and two rounds, each with colours and a cut
    assert counts["colour"] >= frames * (1 + 4 * known) and counts["cut"] >= 1 + 3 * known
    assert counts["patches"] >= 5 * frames * known and counts["discriminant"] >= 2 * 3 * frames * known
    for step in counts:
        before, stop = asked[:], asked.index(step) + 1
        asked.clear()
        with stopped_by(check), pytest.raises(InterruptedError):
            list(maker.make(Square(frames), (30, 40)))
        assert asked == before[:stop]  # nothing is done after it
        asked[:] = before


def test_only_what_is_near_the_frames_to_keep_is_read() -> None:
    class Counted(Square):
        read = 0

        def frame(self, t: int) -> Pixels:
            self.read += 1
            return super().frame(t)

    clip = Counted(80, speed=1)
    made = dict(Targets(height=120, features="none").make(clip, (30, 40), keep=lambda position, _: 20 <= position < 23))
    assert list(made) == [200, 210, 220]
    assert clip.read == 20 + 3 + 30  # thirty after the last one; fewer are there before the first
    parted = Part(Square(80), 10, 40)
    assert near_kept(parted, lambda position, _: position == 20) == (0, 50)
    assert near_kept(parted, None) == (0, float("inf"))


def test_windows_of_the_cut_are_the_whole_cut_on_a_clip_that_fits() -> None:
    rng = np.random.default_rng(0)
    labs = rng.integers(0, 255, (9, 8, 9, 3), dtype=np.uint8)
    odds = (30 * rng.normal(size=(9, 8, 9))).astype(np.float32)
    frames = [Cuttable(lab, plane, None) for lab, plane in zip(labs, odds, strict=True)]
    numbered = list(enumerate(frames))
    whole = dict(cut_in_windows(numbered, window=9))
    parts = dict(cut_in_windows(numbered, window=4, shared=2))
    assert list(parts) == list(range(9))
    assert all((whole[at] == parts[at]).all() for at in parts)  # without links in time windows change nothing
    assert all((whole[at] == found).all() for at, found in enumerate(cut(frames)))
