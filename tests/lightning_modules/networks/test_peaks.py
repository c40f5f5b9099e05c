"""Several subjects: what many cells agree on, told apart from what they show again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_modules.networks import Proposals, peaks
from lightning_modules.networks.peaks import agreement, corners

LEFT, RIGHT, MIDDLE = (-0.5, 0.0, 0.2, 0.4), (0.5, 0.1, 0.2, 0.4), (0.0, 0.0, 0.2, 0.4)


def proposals(*frames: list[tuple[float, tuple[float, float, float, float]]]) -> Proposals:
    """Frames of a 4x4 grid: the probability and the box of each of the four live cells."""
    probability, box = torch.zeros(len(frames), 16), torch.tensor(MIDDLE).repeat(len(frames), 16, 1)
    for row, cells in enumerate(frames):
        for cell, (p, b) in zip((5, 6, 9, 10), cells, strict=True):
            probability[row, cell], box[row, cell] = p, torch.tensor(b)
    return Proposals(probability, box, (4, 4), probability[0] > 0, torch.zeros(len(box), 1, 4, 4))


def as_lists(found: tuple[Tensor, Tensor, Tensor], frame: int) -> list[tuple[list[float], float]]:
    frames, boxes, scores = found
    at = (frames == frame).nonzero().flatten().tolist()
    return [([round(v, 3) for v in boxes[n].tolist()], round(float(scores[n]), 3)) for n in at]


def test_every_cell_has_one_vote_and_the_highest_peak_comes_first() -> None:
    two = proposals([(0.9, LEFT), (0.06, RIGHT), (0.03, RIGHT), (0.01, RIGHT)])
    assert as_lists(peaks(two), 0) == [([*RIGHT], 0.75), ([*LEFT], 0.25)]
    assert agreement(two)[0, [5, 6, 9, 10]].tolist() == pytest.approx([0.25, 0.75, 0.75, 0.75])
    assert agreement(two)[0, [0, 3, 15]].tolist() == [0, 0, 0]  # outer ring, though its boxes lie somewhere too


def test_boxes_agree_if_they_are_nearly_the_same() -> None:
    near, off = (-0.46, 0.0, 0.2, 0.4), (-0.42, 0.0, 0.2, 0.4)  # IoU .82 and .67 with LEFT
    found = agreement(proposals([(0.25, LEFT), (0.25, near), (0.25, off), (0.25, RIGHT)]))
    assert found[0, [5, 6, 9, 10]].tolist() == pytest.approx([0.5, 0.75, 0.5, 0.25])


def test_a_peak_that_is_much_lower_than_the_highest_is_none() -> None:
    probability, box = torch.full((1, 25), 0.1), torch.tensor(LEFT).repeat(1, 25, 1)
    box[0, 7] = torch.tensor(RIGHT)  # one of 25
    one = Proposals(probability, box, (5, 5), probability[0] > 0, torch.zeros(1, 1, 5, 5))
    assert len(as_lists(peaks(one), 0)) == 1
    box[0, 7:12] = torch.tensor(RIGHT)
    assert len(as_lists(peaks(one), 0)) == 2


def test_boxes_that_overlap_a_better_one_are_gone() -> None:
    between = (-0.34, 0.0, 0.2, 0.4)  # IoU .43 with LEFT
    found = peaks(proposals([(0.3, LEFT), (0.3, LEFT), (0.3, between), (0.1, RIGHT)]))
    assert as_lists(found, 0) == [([*LEFT], 0.5), ([*RIGHT], 0.25)]


def test_frames_of_a_batch_do_not_suppress_each_other() -> None:
    one, other = [(0.25, LEFT)] * 4, [(0.25, LEFT), (0.25, RIGHT), (0.25, LEFT), (0.25, RIGHT)]
    edge = [(0.25, (0.9, 0.9, 0.4, 0.4))] * 4, [(0.25, (-0.9, -0.9, 0.4, 0.4))] * 4
    together = peaks(proposals(one, other, *edge))
    for frame, cells in enumerate((one, other, *edge)):
        assert as_lists(together, frame) == as_lists(peaks(proposals(cells)), 0)


def test_corners_are_clipped_to_the_frame() -> None:
    assert corners(torch.tensor([0.9, -0.5, 0.4, 0.25])).tolist() == pytest.approx([1.5, 0.25, 2.0, 0.75])
