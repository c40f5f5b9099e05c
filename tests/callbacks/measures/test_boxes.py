"""Measures of boxes."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.ndimage import find_objects
from torch.testing import assert_close
from torchvision.ops import box_iou

from callbacks.measures.boxes import (
    average_precision,
    box_hits,
    box_overlaps,
    likeliest_centres,
    points_inside,
    tight_boxes,
)
from tests.callbacks.toy import smooth_masks


def test_tight_boxes_end_at_the_outer_edges_of_their_pixels() -> None:
    _, truth = smooth_masks(4, 6, (20, 26))
    for mask, box in zip(truth, tight_boxes(truth), strict=True):
        if not mask.any():
            assert box.isnan().all()
            continue
        ((rows, columns),) = find_objects(mask[0].int().numpy())
        assert box.tolist() == [columns.start, rows.start, columns.stop, rows.stop]


def test_overlaps_are_those_of_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 2050, 2, generator=generator)
    box, truth = torch.cat([corners, corners + 0.1 + torch.rand(2, 2050, 2, generator=generator)], dim=2)
    truth[3] = math.nan
    found = box_overlaps(box, truth)
    for place in (0, 1023, 1024, 2049):
        assert_close(found[place], box_iou(box[place, None], truth[place, None])[0, 0])
    assert found[3].isnan()


def test_hits() -> None:
    """IoU above 0.5 is a hit, 0.5 is not; without truth a frame has no say; NaN boxes miss."""
    truth = torch.tensor([[0, 0, 4, 4.0]]).repeat(4, 1)
    truth[3] = math.nan
    box = torch.tensor([[0, 0, 4, 3.0], [0, 0, 4, 2.0], [9, 9, 9, 9.0], [0, 0, 4, 4.0]])
    assert_close(box_hits(box, truth), torch.tensor([1, 0, 0, math.nan], dtype=torch.float64), equal_nan=True)
    many = box[:1].repeat(3000, 1)
    assert box_hits(many, truth[:1].repeat(3000, 1)).sum() == 3000


def test_the_likeliest_cell_of_a_grid_has_its_centre_there() -> None:
    """Rows are y and columns x, also where the grid is not square; of equal cells the first counts."""
    probability = torch.zeros(3, 2, 4)
    probability[0, 1, 3], probability[1, 0, 2], probability[2] = 1, 0.6, 0.125
    assert likeliest_centres(probability).tolist() == [[0.75, 0.5], [0.25, -0.5], [-0.75, -0.5]]


def test_points_inside() -> None:
    """The edges belong to the box; without a point or a true box a frame has no say."""
    truth = torch.tensor([[2.0, 1.0, 6.0, 5.0]]).repeat(6, 1)
    truth[5] = math.nan
    point = torch.tensor([[4, 3], [2, 5], [6.5, 3], [4, 0.5], [math.nan, 3], [4, 3]])
    expected = torch.tensor([1, 1, 0, 0, math.nan, math.nan], dtype=torch.float64)
    assert_close(points_inside(point, truth), expected, equal_nan=True)


def test_no_average_precision_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    box = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    assert average_precision(box, box, torch.ones(1)) == 1
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert math.isnan(average_precision(box, box, torch.ones(1)))


def test_average_precision_ranks() -> None:
    """A wrong box costs less when it is the least confident; a frame without subject is a false alarm."""
    truth = torch.tensor([[10, 10, 50, 50.0]]).repeat(4, 1)
    box = truth.clone()
    box[3] += 100
    low = average_precision(box, truth, torch.tensor([0.9, 0.8, 0.7, 0.1]))
    high = average_precision(box, truth, torch.tensor([0.7, 0.8, 0.6, 0.9]))
    assert low == pytest.approx(0.75, abs=0.01) and high < low
    nothing = torch.full((1, 4), math.nan)
    alarm = average_precision(truth, torch.cat([nothing, truth[1:]]), torch.tensor([0.9, 0.8, 0.7, 0.6]))
    assert alarm < 1
    assert math.isnan(average_precision(box[:1], nothing, torch.ones(1)))
