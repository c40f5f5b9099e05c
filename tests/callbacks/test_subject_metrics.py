"""Measures of several subjects: matching, what is missed, what is too much, and the mean over clips."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from callbacks.subject_metrics import SLOTS, SubjectScores, frame_measures, matched, overlaps, split_objects

SIZE = (20, 40)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> Tensor:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[y0:y1, x0:x1] = True
    return mask


def centre_box(x0: float, y0: float, x1: float, y1: float) -> list[float]:
    height, width = SIZE
    return [(x0 + x1) / width - 1, (y0 + y1) / height - 1, (x1 - x0) / width, (y1 - y0) / height]


A, B, C = (2, 2, 8, 18), (12, 2, 18, 18), (30, 2, 36, 18)
TWO = (rectangle(*A).int() + 5 * rectangle(*B).int()).to(torch.uint8)[None]  # (1, H, W), numbers 1 and 5


Place = tuple[int, int, int, int]


def updated(scores: SubjectScores, found: list[Place], objects: Tensor, clip: str, index: int) -> None:
    """Add a frame in which these rectangles were found, with falling confidence."""
    masks = torch.zeros(1, 4, *SIZE)
    boxes, confidence = torch.zeros(1, 4, 4), torch.zeros(1, 4)
    for number, place in enumerate(found):
        masks[0, number], boxes[0, number] = rectangle(*place).float(), torch.tensor(centre_box(*place))
        confidence[0, number] = 0.9 - 0.2 * number
    scores.update(masks, boxes, confidence, objects[None], [clip], torch.tensor([index]))


def test_objects_are_split_by_their_numbers() -> None:
    masks = split_objects(TWO[0])
    assert torch.equal(masks, torch.stack([rectangle(*A), rectangle(*B)]))
    assert split_objects(torch.zeros(SIZE, dtype=torch.uint8)).shape == (0, *SIZE)


def test_overlaps_are_intersection_over_union() -> None:
    half = rectangle(2, 2, 5, 18)
    found = overlaps(torch.stack([half, rectangle(*C)]), split_objects(TWO[0]))
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.0], [0.0, 0.0]], dtype=torch.float64))


def test_matching_is_one_to_one_and_the_best_of_all() -> None:
    quality = torch.tensor([[0.6, 0.5], [0.55, 0.0]])
    torch.testing.assert_close(matched(quality), torch.tensor([0.55, 0.5]))  # a greedy one would give 0.6 and 0
    torch.testing.assert_close(matched(quality[:1]), torch.tensor([0.6, 0.0]))
    assert matched(torch.zeros(0, 2)).tolist() == [0, 0]


def test_the_measures_of_a_frame() -> None:
    truth = split_objects(TWO[0])
    true_boxes = torch.tensor([A, B]).float()
    nothing = frame_measures(truth[:0], true_boxes[:0], truth, true_boxes)
    assert nothing == [0.0, 0.0, 0.0, 0.0, 2.0]
    masks, boxes = torch.stack([rectangle(*B), rectangle(*C)]), torch.tensor([B, C]).float()
    assert frame_measures(masks, boxes, truth, true_boxes) == [0.5, 0.5, 1.0, 2.0, 2.0]
    empty = frame_measures(masks, boxes, truth[:0], true_boxes[:0])
    assert math.isnan(empty[0]) and math.isnan(empty[1]) and empty[2:] == [0.0, 2.0, 0.0]


def test_frames_are_averaged_by_clip_and_then_over_clips() -> None:
    scores = SubjectScores()
    assert scores.compute() == {}
    updated(scores, [A, B], TWO, "bear", 0)
    updated(scores, [A], TWO, "bear", 1)
    updated(scores, [A], TWO, "bear", 1)  # again: counts once
    updated(scores, [A, B, C], TWO, "camel", 0)
    result = scores.compute()
    assert result["clips"]["bear"] == {
        "subject_j": 0.75, "subject_recall": 0.75, "count_accuracy": 0.5, "subjects_found": 1.5, "subjects_there": 2.0,
    }  # fmt: skip
    assert result["subject_j"] == pytest.approx((0.75 + 1) / 2) and result["count_accuracy"] == 0.25
    # 5 of 6 found, the only false box ranks last: precision is 1 up to recall 5/6, on COCO's 101 points
    assert result["average_precision"] == pytest.approx(84 / 101, abs=1e-3)


def test_measures_of_two_processes_add_up() -> None:
    one, other, all_ = SubjectScores(), SubjectScores(), SubjectScores()
    for scores in (one, all_):
        updated(scores, [A], TWO, "bear", 0)
    for scores in (other, all_):
        updated(scores, [B, C], TWO, "camel", 3)
    one.merge_frames(other.frame_state())
    assert one.compute() == all_.compute()


def test_more_subjects_than_slots_are_refused() -> None:
    objects = torch.arange(20 * 40).view(1, *SIZE) % (SLOTS + 2)
    with pytest.raises(ValueError, match=f"Frame 7 of clip 'bear' has more than {SLOTS} subjects"):
        updated(SubjectScores(), [A], objects, "bear", 7)
