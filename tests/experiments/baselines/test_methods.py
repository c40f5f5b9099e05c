"""The classical baselines find a square that moves over a still or a panning scene, and are honest about the rest."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from backdrop.boxes import from_corners
from backdrop.errors import RunError
from callbacks.measures.floors import floor_predictions
from experiments.baselines import METHODS
from experiments.baselines.flow import Flow, FlowGrabCut, cut, own_motion
from experiments.baselines.method import Baseline, Prediction, from_mask, normalised
from experiments.baselines.registration import registered
from experiments.baselines.residual import CompensatedBackground, StaticBackground
from experiments.baselines.subtraction import Knn, KnnCompensated, Mog2, Mog2Compensated, as_prediction
from experiments.baselines.videopca import VideoPca
from tests.fake_data import centre_box
from tests.moving_square import SIZE, jaccard, moving_square

STILL: dict[str, Callable[[], Baseline]] = {
    "videopca": VideoPca,
    "static_background": StaticBackground,
    "mog2": Mog2,
    "knn": Knn,
}
MOVING: dict[str, Callable[[], Baseline]] = {
    "compensated_background": lambda: CompensatedBackground(reach=16, step=2),
    "mog2_compensated": lambda: Mog2Compensated(reach=16, step=2),
    "knn_compensated": lambda: KnnCompensated(reach=16, step=2),
    "flow": Flow,
    "flow_grabcut": FlowGrabCut,
}
WANTED = (4, 11, 12, 19)


def predicted(baseline: Baseline, pan: int) -> tuple[list[Prediction], list[float]]:
    """The predictions of some frames, and their J."""
    cv2.setRNGSeed(0)
    frames, masks = moving_square(pan=pan)
    found = list(baseline.predict(frames, WANTED))
    assert len(found) == len(WANTED)
    return found, [jaccard(one.mask, masks[position]) for one, position in zip(found, WANTED, strict=True)]


def floor(pan: int) -> float:
    """The better J of the two predictions that look at nothing."""
    _, masks = moving_square(pan=pan)
    floors = floor_predictions(torch.zeros(1, 1, *SIZE), 0.5).values()
    scores = [[jaccard(mask[0, 0].numpy(), masks[position]) for position in WANTED] for mask, _ in floors]
    return max(float(np.mean(one)) for one in scores)


@pytest.mark.parametrize("name", [*STILL, *MOVING])
def test_a_square_over_a_still_scene_is_found(name: str) -> None:
    found, scores = predicted({**STILL, **MOVING}[name](), pan=0)
    assert np.mean(scores) > max(0.5, 2 * floor(pan=0)), scores
    for one in found:
        assert one.mask.shape == SIZE and one.mask.dtype == np.float32
        assert 0 <= one.mask.min() and one.mask.max() <= 1 and 0 < one.confidence <= 1


@pytest.mark.parametrize("name", ["mog2", "knn", "mog2_compensated", "knn_compensated"])
def test_noise_over_a_still_scene_is_no_subject(name: str) -> None:
    cv2.setRNGSeed(0)
    random = np.random.default_rng(0)
    scene = cv2.GaussianBlur(random.uniform(40, 215, (*SIZE, 3)).astype(np.float32), (0, 0), 3)
    frames = [(scene + random.normal(0, 3, scene.shape)).clip(0, 255).astype(np.uint8) for _ in range(60)]
    found = list(METHODS[name]().predict(frames, [20, 40]))
    assert max(float((one.mask >= 0.5).mean()) for one in found) < 0.01


@pytest.mark.parametrize("method", [*STILL, *MOVING])
def test_settings_that_mean_nothing_are_refused(method: str) -> None:
    kind: Any = METHODS[method]
    counts = {"most", "step", "rounds", "history", "components", "height"} & inspect.signature(kind).parameters.keys()
    assert counts
    for name in counts:
        with pytest.raises(RunError, match=f"{name} is 0: give 1 or more"):
            kind(**{name: 0})


@pytest.mark.parametrize("name", MOVING)
def test_a_square_over_a_panning_scene_is_found(name: str) -> None:
    _, scores = predicted(MOVING[name](), pan=2)
    assert np.mean(scores) > max(0.5, 2 * floor(pan=2)), scores


@pytest.mark.parametrize(
    ("plain", "compensated"), [("static_background", "compensated_background"), ("mog2", "mog2_compensated")]
)
def test_the_cameras_motion_matters(plain: str, compensated: str) -> None:
    without, scores = (np.mean(predicted(make(), pan=2)[1]) for make in (STILL[plain], MOVING[compensated]))
    assert without < scores - 0.2


def test_boxes_fit_the_square() -> None:
    found, _ = predicted(StaticBackground(), pan=0)
    _, masks = moving_square()
    for one, position in zip(found, WANTED, strict=True):
        assert one.box == pytest.approx(centre_box(masks[position]), abs=0.06)


@pytest.mark.parametrize("name", [*STILL, *MOVING])
def test_a_single_frame_is_no_clip_but_is_answered(name: str) -> None:
    frames, _ = moving_square(frames=1)
    (found,) = {**STILL, **MOVING}[name]().predict(frames, [0])
    assert found.mask.shape == SIZE and np.isfinite(found.mask).all()


def test_frames_that_nobody_wants_do_not_change_the_others() -> None:
    frames, _ = moving_square()
    for baseline in (VideoPca(), StaticBackground(), Mog2(), Flow(), CompensatedBackground(reach=8, step=4)):
        every = list(baseline.predict(frames, range(len(frames))))
        some = list(baseline.predict(frames, WANTED))
        for one, position in zip(some, WANTED, strict=True):
            np.testing.assert_array_equal(one.mask, every[position].mask)


def test_the_largest_part_has_the_box() -> None:
    mask = np.zeros((4, 8), dtype=np.float32)
    mask[1:3, 2:6] = 0.8
    mask[0, 7] = 1.0
    found = from_mask(mask)
    assert found.box == pytest.approx((0.0, 0.0, 0.5, 0.5))
    assert found.confidence == pytest.approx(0.8)
    nothing = from_mask(np.full((4, 8), 0.4, dtype=np.float32))
    assert nothing.box == (0, 0, 0, 0) and nothing.confidence == 0


def test_boxes_are_those_of_the_contract() -> None:
    assert from_corners((0, 0, 8, 4), (4, 8)) == (0, 0, 1, 1)
    assert from_corners((4, 0, 8, 2), (4, 8)) == (0.5, -0.5, 0.5, 0.5)


def test_half_is_at_the_level() -> None:
    evidence = np.array([[1, 1, 1, 3, 9]], dtype=np.float32)
    assert normalised(evidence, times=3, least=0.1)[0].tolist() == pytest.approx([0.25, 0.25, 0.25, 0.5, 0.75])
    assert normalised(evidence, times=3, least=9)[0, -1] == pytest.approx(0.5)


def test_shadows_are_background() -> None:
    found = np.full((40, 40), 127, dtype=np.uint8)
    found[10:30, 10:30] = 255
    mask = as_prediction(found).mask
    assert mask[20, 20] == pytest.approx(1) and mask[2, 2] == pytest.approx(0)


def test_neighbours_come_to_the_place_of_the_frame() -> None:
    frames, masks = moving_square(pan=2)
    (window,) = registered(frames, [12], reach=8, step=4)
    assert len(window.images) == 4
    for image, seen, other in zip(window.images, window.seen, (4, 20, 8, 16), strict=True):
        scene = seen & ~masks[12] & ~np.roll(masks[other], 2 * (other - 12), axis=1)
        wrong = np.abs(image.astype(int) - window.frame)[scene].mean()
        unmoved = np.abs(frames[other].astype(int) - window.frame)[scene].mean()
        assert wrong < 0.25 * unmoved
        assert 0.7 < seen.mean() < 1


def test_the_flow_of_the_square_is_what_the_camera_does_not_explain() -> None:
    frames, masks = moving_square(pan=2)
    first, second = (cv2.cvtColor(frames[position], cv2.COLOR_RGB2GRAY) for position in (8, 9))
    moved = own_motion(first, second)  # the scene goes 2 to the left, the square 3 to the right
    assert np.median(moved[masks[8]]) == pytest.approx(5, abs=0.5)
    assert np.median(moved[~masks[8]]) < 0.3


def test_grabcut_keeps_what_it_has_nothing_to_learn_from() -> None:
    image = np.zeros((20, 20, 3), dtype=np.uint8)
    soft = np.full((20, 20), 0.1, dtype=np.float32)
    assert cut(image, soft, 1) is soft


def test_grabcut_follows_the_colours() -> None:
    frames, masks = moving_square(frames=1)
    soft = cv2.GaussianBlur(masks[0].astype(np.float32), (0, 0), 6)
    assert jaccard(cut(frames[0], soft, 3), masks[0]) > max(0.9, jaccard(soft, masks[0]))
