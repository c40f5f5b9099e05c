"""The probe of features by nearest neighbours: values by hand."""

from __future__ import annotations

import math

import pytest
import torch

from callbacks.measures.neighbours import neighbour_scores


def at(*degrees: float) -> torch.Tensor:
    return torch.tensor([[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in degrees])


def test_neighbours_of_the_same_clip_and_near_in_time_are_counted() -> None:
    # a: 0, 10, 30 degrees at times 0, 1, 5; b: 32, 90: the frame at 30 is nearest to that at 32, and the other way
    found = neighbour_scores(at(0, 10, 30, 32, 90), ["a", "a", "a", "b", "b"], [0, 1, 5, 0, 9])
    assert found["same_clip"] == pytest.approx(3 / 5)  # 0 -> 10, 10 -> 0, 90 -> 32
    assert found["same_clip_chance"] == pytest.approx((3 * 2 + 2 * 1) / (5 * 4))
    # nearest of the clip a: 1, 1 and 4 frames away; any: 3, 2.5 and 4.5; of b there is but one other frame
    assert found["time_gap"] == pytest.approx((1 + 1 + 4) / (3 + 2.5 + 4.5))


def test_lengths_do_not_count_and_what_is_not_defined_is_left_out() -> None:
    scaled = at(0, 10, 30) * torch.tensor([[1.0], [7.0], [0.1]])
    assert neighbour_scores(scaled, ["a"] * 3, [0, 1, 5]) == pytest.approx({"time_gap": 6 / 10})
    assert neighbour_scores(at(0, 5), ["a", "b"], [0, 0]) == {}
    assert neighbour_scores(at(0), ["a"], [0]) == {}
