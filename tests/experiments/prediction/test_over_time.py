"""What looks at several frames: numbers that stay, masks that flicker less, plates in bounded memory, threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from backdrop.found import Found
from experiments.prediction.plate import Plate, grown
from experiments.prediction.smoothing import smoothed
from experiments.prediction.threads import ahead, behind
from experiments.prediction.tracking import Tracks, overlaps

LEFT, RIGHT = (0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0)


def moved(box: tuple[float, ...], by: float) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return (x0 + by, y0, x1 + by, y1)


def test_numbers_stay_with_subjects_whatever_their_order() -> None:
    tracks = Tracks()
    assert tracks.follow([LEFT, RIGHT]) == (1, 2)
    assert tracks.follow([moved(RIGHT, -3), moved(LEFT, 3)]) == (2, 1)
    assert tracks.follow([moved(LEFT, 4)]) == (1,)
    assert tracks.follow([moved(LEFT, 5), moved(RIGHT, -2), (0.0, 50.0, 5.0, 60.0)]) == (1, 2, 3)


def test_a_subject_that_is_gone_for_long_is_forgotten() -> None:
    tracks = Tracks(patience=2)
    assert tracks.follow([LEFT]) == (1,)
    assert tracks.follow([]) == tracks.follow([]) == tracks.follow([]) == ()
    assert tracks.follow([LEFT]) == (2,)


def test_the_sum_of_the_overlaps_is_largest() -> None:
    """The first box overlaps the first track more, but the second box overlaps no other."""
    tracks = Tracks()
    tracks.follow([(0.0, 0.0, 10.0, 1.0), (4.0, 0.0, 14.0, 1.0)])
    assert tracks.follow([(3.0, 0.0, 13.0, 1.0), (5.5, 0.0, 15.5, 1.0)]) == (1, 2)


def test_overlaps_are_those_of_torchvision() -> None:
    boxes = np.random.default_rng(0).random((9, 4)) * 10
    boxes[:, 2:] += boxes[:, :2]
    expected = box_iou(torch.from_numpy(boxes[:4]), torch.from_numpy(boxes[4:])).numpy()
    np.testing.assert_allclose(overlaps(boxes[:4].tolist(), boxes[4:].tolist()), expected)


def test_masks_of_several_sizes_are_not_smoothed_which_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [(4, 5)] * 5 + [(8, 5)] * 2
    masks = np.random.default_rng(0).random((7, 8, 5)).astype(np.float32)
    pairs = [(n, Found(mask[: size[0]], LEFT, 0.5)) for n, (mask, size) in enumerate(zip(masks, sizes, strict=True))]
    found = dict(smoothed(iter(pairs), 3))
    assert capsys.readouterr().err == "warning: 2 masks not smoothed: the frames around are of several sizes.\n"
    assert all((found[n].mask == pairs[n][1].mask).all() for n in (4, 5))
    assert (found[3].mask == np.median([pairs[n][1].mask for n in (2, 3, 4)], axis=0)).all()


@pytest.mark.parametrize("frames", [3, 5, 7])
def test_masks_are_the_median_over_the_frames_around(frames: int) -> None:
    masks = np.random.default_rng(0).random((12, 4, 5)).astype(np.float32)
    pairs = [(number, Found(mask, LEFT, 0.5)) for number, mask in enumerate(masks)]
    found = list(smoothed(iter(pairs), frames))
    assert [number for number, _ in found] == list(range(12))
    for number, one in found:
        reach = min(frames // 2, number, 11 - number)
        assert (one.mask == np.median(masks[number - reach : number + reach + 1], axis=0)).all()


def test_a_frame_without_a_subject_counts_as_empty() -> None:
    full = np.ones((2, 2), np.float32)
    pairs = [(number, Found(full, LEFT, 0.5, score)) for number, score in enumerate((0.9, 0.1, 0.9, 0.1, 0.9))]
    assert [float(one.mask.max()) for _, one in smoothed(pairs, 3)] == [1, 1, 0, 1, 1]


def test_smoothing_keeps_few_frames() -> None:
    def count() -> Iterator[tuple[int, Found]]:
        for number in range(100):
            taken.append(number)
            yield number, Found(np.zeros((2, 2), np.float32), LEFT, 0.5)

    taken = list[int]()
    results = smoothed(count(), 5)
    for _ in range(50):
        next(results)
    assert len(taken) == 52


def test_a_plate_keeps_few_frames_of_many() -> None:
    plate = Plate()
    for number in range(2000):
        frame = np.full((4, 6, 3), 50, np.uint8)
        frame[0, 0] = number % 256
        plate.add(frame, np.zeros((4, 6), np.float32))
    assert len(plate._frames) <= 49
    picture, hidden, restless = plate.finish()
    assert (picture[1:] == (50, 50, 50, 255)).all() and hidden == 0 and restless == pytest.approx(1 / 24)


def test_a_mask_is_grown_to_all_sides() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = mask[0, 8] = True
    expected = np.zeros((9, 9), bool)
    expected[2:7, 2:7] = expected[:3, 6:] = True
    assert (grown(mask, 2) == expected).all()


def test_items_are_taken_in_order_in_another_thread() -> None:
    def names() -> Iterator[str]:
        for _ in range(5):
            yield threading.current_thread().name

    found = list(ahead(names()))
    assert len(found) == 5 and threading.current_thread().name not in found


def test_an_error_comes_in_its_turn() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("second")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="second"):
        next(items)


def test_an_abandoned_reader_ends() -> None:
    before = threading.active_count()
    items = ahead(iter(range(10**9)))
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_calls_are_made_in_order_and_their_errors_are_raised() -> None:
    made = list[int]()
    with behind(2) as submit:
        for number in range(10):
            submit(lambda number=number: made.append(number))
    assert made == list(range(10))

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), behind(2) as submit:
        submit(fail)
