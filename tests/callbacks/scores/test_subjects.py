"""SubjectScores: the mean over frames, then over clips, and over processes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backdrop.boxes import from_corners
from callbacks.scores.subjects import SLOTS, SubjectScores
from tests.callbacks.toy import RECTANGLES_SIZE, TWO, A, B, C, rectangle

Place = tuple[int, int, int, int]


def updated(scores: SubjectScores, found: list[Place], objects: Tensor, clip: str, index: int) -> None:
    """Add a frame in which these rectangles were found, with falling confidence."""
    masks = torch.zeros(1, 4, *RECTANGLES_SIZE)
    boxes, confidence = torch.zeros(1, 4, 4), torch.zeros(1, 4)
    for position, place in enumerate(found):
        masks[0, position] = rectangle(*place).float()
        boxes[0, position] = torch.tensor(from_corners(place, RECTANGLES_SIZE))
        confidence[0, position] = 0.9 - 0.2 * position
    scores.update(masks, boxes, confidence, objects[None], [clip], torch.tensor([index]))


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
    objects = torch.arange(20 * 40).view(1, *RECTANGLES_SIZE) % (SLOTS + 2)
    with pytest.raises(ValueError, match=f"Frame 7 of clip 'bear' has more than {SLOTS} subjects"):
        updated(SubjectScores(), [A], objects, "bear", 7)


def test_unknown_pixels_are_in_no_score_of_a_subject() -> None:
    """A is 6 pixels wide, and 4 are found; where the other two are unknown it is found whole."""
    masks = rectangle(2, 2, 6, 18)[None, None].float()
    objects = rectangle(*A).to(torch.uint8)[None, None]
    given = (masks, torch.tensor([[from_corners(A, RECTANGLES_SIZE)]]), torch.ones(1, 1), objects, ["bear"])
    scores = {name: SubjectScores() for name in ("all", "known")}
    scores["all"].update(*given, torch.zeros(1).long())
    scores["known"].update(*given, torch.zeros(1).long(), known=~rectangle(6, 0, 40, 20)[None, None])
    assert {name: one.compute()["subject_j"] for name, one in scores.items()} == {"all": 4 / 6, "known": 1}
