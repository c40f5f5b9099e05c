"""Measures of several subjects: matching, what is missed, and what is too much."""

from __future__ import annotations

import math

import torch

from callbacks.measures.subjects import frame_measures, matched, overlaps, split_objects
from tests.callbacks.toy import RECTANGLES_SIZE, TWO, A, B, C, rectangle


def test_objects_are_split_by_their_numbers() -> None:
    masks = split_objects(TWO[0])
    assert torch.equal(masks, torch.stack([rectangle(*A), rectangle(*B)]))
    assert split_objects(torch.zeros(RECTANGLES_SIZE, dtype=torch.uint8)).shape == (0, *RECTANGLES_SIZE)


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
