"""The peaks of ``p``: what many cells agree on, told apart from what they show again."""

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
    return Proposals(probability, box, (4, 4))


def as_lists(found: tuple[Tensor, Tensor, Tensor], frame: int) -> list[tuple[list[float], float]]:
    frames, boxes, scores = found
    at = (frames == frame).nonzero().flatten().tolist()
    return [([round(v, 3) for v in boxes[n].tolist()], round(float(scores[n]), 3)) for n in at]


def test_cells_that_show_the_same_are_summed_and_the_highest_comes_first() -> None:
    two = proposals([(0.3, LEFT), (0.25, RIGHT), (0.1, LEFT), (0.35, RIGHT)])
    assert as_lists(peaks(two), 0) == [([*RIGHT], 0.6), ([*LEFT], 0.4)]
    assert agreement(two)[0, [5, 6, 9, 10]].tolist() == pytest.approx([0.4, 0.6, 0.4, 0.6])
    assert agreement(two)[0, [0, 3, 15]].tolist() == [0, 0, 0]  # outer ring, though its boxes lie somewhere too


def test_a_peak_that_is_much_lower_than_the_highest_is_none() -> None:
    uneven = proposals([(0.94, LEFT), (0.06, RIGHT), (0.0, LEFT), (0.0, LEFT)])
    assert len(as_lists(peaks(uneven, least=0.1), 0)) == 1
    assert len(as_lists(peaks(uneven, least=0.05), 0)) == 2


def test_boxes_that_overlap_a_better_one_are_gone() -> None:
    shifted = (-0.4, 0.0, 0.2, 0.4)  # IoU 0.6 with LEFT
    found = peaks(proposals([(0.6, LEFT), (0.4, shifted), (0.0, LEFT), (0.0, LEFT)]), overlap=0.5)
    assert as_lists(found, 0) == [([*LEFT], 1.0)] or as_lists(found, 0) == [([round(v, 3) for v in shifted], 1.0)]
    assert len(as_lists(peaks(proposals([(0.6, LEFT), (0.4, shifted), (0, LEFT), (0, LEFT)]), overlap=0.7), 0)) == 2


def test_frames_of_a_batch_do_not_suppress_each_other() -> None:
    one, other = [(0.25, LEFT)] * 4, [(0.25, LEFT), (0.25, RIGHT), (0.25, LEFT), (0.25, RIGHT)]
    edge = [(0.25, (0.9, 0.9, 0.4, 0.4))] * 4, [(0.25, (-0.9, -0.9, 0.4, 0.4))] * 4
    together = peaks(proposals(one, other, *edge))
    for frame, cells in enumerate((one, other, *edge)):
        assert as_lists(together, frame) == as_lists(peaks(proposals(cells)), 0)


def test_corners_are_clipped_to_the_frame() -> None:
    assert corners(torch.tensor([0.9, -0.5, 0.4, 0.25])).tolist() == pytest.approx([1.5, 0.25, 2.0, 0.75])
