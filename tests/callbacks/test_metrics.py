"""The measures against hand-drawn masks and against slow, plain NumPy loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.testing import assert_close

from backdrop.boxes import to_corners
from callbacks.metrics import (
    SegmentationScores,
    average_precision,
    boundary_scores,
    box_hits,
    clip_key,
    pixel_scores,
    threshold_counts,
    threshold_grid,
    tight_boxes,
)

DRAWN = {
    "equal": (["....", ".##.", ".##.", "...."], ["....", ".##.", ".##.", "...."], (1, 1, 1, 1)),
    "half": (["....", ".#..", ".#..", "...."], ["....", ".##.", ".##.", "...."], (1, 0.5, 2 / 3, 0.5)),
    "twice": (["....", "####", "....", "...."], ["....", ".##.", "....", "...."], (0.5, 1, 2 / 3, 0.5)),
    "apart": (["##..", "....", "....", "...."], ["....", "....", "....", "..##"], (0, 0, 0, 0)),
    "both empty": (["....", "....", "....", "...."], ["....", "....", "....", "...."], (1, 1, 1, 1)),
    "no prediction": (["....", "....", "....", "...."], ["....", ".#..", "....", "...."], (0, 0, 0, 0)),
    "no truth": (["....", ".#..", "....", "...."], ["....", "....", "....", "...."], (0, 0, 0, 0)),
}


def draw(rows: Sequence[str]) -> Tensor:
    """Turn rows of dots and hashes into a mask, (1, 1, H, W)."""
    return torch.tensor([[character == "#" for character in row] for row in rows])[None, None]


def loop_scores(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Count pixel by pixel: precision, recall, F, J."""
    hit = false = missed = 0
    for ours, true in zip(prediction.ravel(), truth.ravel(), strict=True):
        hit += bool(ours and true)
        false += bool(ours and not true)
        missed += bool(true and not ours)
    if hit + false + missed == 0:
        return 1.0, 1.0, 1.0, 1.0
    if hit == 0:
        return 0.0, 0.0, 0.0, 0.0
    precision, recall = hit / (hit + false), hit / (hit + missed)
    return precision, recall, 2 * precision * recall / (precision + recall), hit / (hit + false + missed)


def loop_boundary(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Compute the DAVIS boundary F from all distances between boundary pixels."""

    def edge(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        height, width = mask.shape
        points = []
        for y in range(height):
            for x in range(width):
                others = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
                if any(v < height and u < width and mask[v, u] != mask[y, x] for v, u in others):
                    points.append((y, x))
        return np.array(points, dtype=np.int64).reshape(-1, 2)

    radius = math.ceil(0.008 * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))
    ours, true = edge(prediction), edge(truth)
    if len(ours) == 0 or len(true) == 0:
        return float(len(ours) == len(true))
    squared = ((ours[:, None] - true[None]) ** 2).sum(-1)
    precision = (squared.min(1) <= radius**2).mean()
    recall = (squared.min(0) <= radius**2).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def smooth_masks(seed: int, frames: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Make soft masks with a few blobs and related true masks; frames 1 to 3 hold the empty cases."""
    generator = torch.Generator().manual_seed(seed)
    soft = torch.rand(frames, 1, size[0] // 8 + 2, size[1] // 8 + 2, generator=generator)
    soft = torch.nn.functional.interpolate(soft, size, mode="bicubic", align_corners=False).clamp(0, 1)
    truth = (soft + 0.3 * torch.rand(soft.shape, generator=generator)) > 0.7
    soft[1:3] = 0
    truth[2:4] = False
    return soft, truth


@pytest.mark.parametrize("name", DRAWN)
def test_hand_drawn(name: str) -> None:
    """Hand-drawn masks score what one counts by hand, empty ones included."""
    ours, true, expected = DRAWN[name]
    counts = threshold_counts(draw(ours).float(), draw(true), torch.tensor([0.5]))
    assert tuple(pixel_scores(*counts)[0, :, 0].tolist()) == expected
    assert loop_scores(draw(ours)[0, 0].numpy(), draw(true)[0, 0].numpy()) == pytest.approx(expected)


def test_threshold_is_inclusive_and_nan_is_background() -> None:
    """A value at the threshold is inside, NaN is outside at every threshold."""
    prediction = torch.tensor([0.5, 0.4999, math.nan, 1.0]).view(1, 1, 2, 2)
    both, predicted, actual = threshold_counts(prediction, torch.ones(1, 1, 2, 2).bool(), torch.tensor([0.25, 0.5]))
    assert predicted.tolist() == both.tolist() == [[3, 2]]
    assert actual.tolist() == [[4]]


def test_all_thresholds_equal_the_loop() -> None:
    """One histogram gives what comparing and counting at each threshold gives."""
    grid = torch.tensor(threshold_grid(0.05))
    assert len(grid) == 19
    soft, truth = smooth_masks(0, 6, (20, 26))
    soft[0, 0, 0, :19] = grid  # values exactly at the thresholds
    scores = pixel_scores(*threshold_counts(soft, truth, grid))
    for frame in range(6):
        for level, threshold in enumerate(grid):
            expected = loop_scores((soft[frame, 0] >= threshold).numpy(), truth[frame, 0].numpy())
            assert scores[frame, :, level].tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("size", [(4, 4), (30, 40), (40, 124)])
def test_boundary_equals_all_distances(size: tuple[int, int]) -> None:
    """The dilated boundaries match where all distances between boundary pixels say so (radius 1, 1 and 2)."""
    soft, truth = smooth_masks(1, 5, size)
    truth[4] = True  # fills the frame: no boundary
    for frame in range(5):
        masks = soft[frame] >= torch.tensor([0.3, 0.5, 0.7])[:, None, None]
        expected = [loop_boundary(mask, truth[frame, 0].numpy()) for mask in masks.numpy()]
        assert boundary_scores(masks.numpy(), truth[frame, 0].numpy()) == pytest.approx(expected, abs=1e-12)


def test_boundary_hand_drawn() -> None:
    """One pixel aside is within the tolerance of a small frame, two are not; empty masks follow DAVIS."""
    rows = ["........", ".###....", ".###....", "........"]
    truth = draw(rows)[0, 0].numpy()
    one, two = np.roll(truth, 1, axis=1), np.roll(truth, 2, axis=1)
    empty = np.zeros_like(truth)
    scores = boundary_scores(np.stack([truth, one, two, empty]), truth)
    assert scores[:2].tolist() == [1, 1]
    assert 0 < scores[2] < 1
    assert scores[3] == 0
    assert boundary_scores(np.stack([empty, truth]), empty).tolist() == [1, 0]


def test_boxes() -> None:
    """A tight box ends at its pixels' outer edges; a centre box is clipped to the frame."""
    mask = draw(["....", ".##.", "..#.", "...."])
    assert tight_boxes(mask).tolist() == [[1, 1, 3, 3]]
    assert tight_boxes(torch.zeros(1, 1, 4, 4).bool()).isnan().all()
    box = torch.tensor([[0, 0, 1, 1], [0, 0, 0.5, 0.5], [1, -1, 0.5, 0.5], [9, 9, 0.1, 0.1]])
    expected = [[0, 0, 8, 4], [2, 1, 6, 3], [6, 0, 8, 1], [8, 4, 8, 4]]
    assert to_corners(box, (4, 8)).tolist() == expected


def test_hits() -> None:
    """IoU above 0.5 is a hit, 0.5 is not; without truth a frame has no say; NaN boxes miss."""
    truth = torch.tensor([[0, 0, 4, 4.0]]).repeat(4, 1)
    truth[3] = math.nan
    box = torch.tensor([[0, 0, 4, 3.0], [0, 0, 4, 2.0], [9, 9, 9, 9.0], [0, 0, 4, 4.0]])
    assert_close(box_hits(box, truth), torch.tensor([1, 0, 0, math.nan], dtype=torch.float64), equal_nan=True)
    many = box[:1].repeat(3000, 1)
    assert box_hits(many, truth[:1].repeat(3000, 1)).sum() == 3000


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


def test_clip_key_is_stable() -> None:
    """The key of a name is a fixed number of 63 bits, the same in every process and version."""
    assert clip_key("bear") == clip_key("bear") != clip_key("camel")
    assert all(0 <= clip_key(name) < 2**63 for name in ("", "bear", "dive in — süß"))


@pytest.mark.parametrize("arguments", [{"threshold": 0}, {"threshold": 1.5}, {"grid_step": 0}, {"grid_step": 0.7}])
def test_refuses(arguments: dict[str, float]) -> None:
    """Thresholds outside the frame's range are refused with the value that came."""
    with pytest.raises(ValueError, match=str(next(iter(arguments.values())))):
        SegmentationScores(**arguments)


def feed(
    scores: SegmentationScores, clips: dict[str, tuple[Tensor, Tensor]], box: Tensor, batch: int
) -> dict[str, Any]:
    """Update with all clips, ``batch`` frames at a time, and compute."""
    for clip, (soft, truth) in clips.items():
        for start in range(0, len(soft), batch):
            rows = slice(start, start + batch)
            count = len(soft[rows])
            index = torch.arange(count) + start
            scores.update(soft[rows], truth[rows], box.expand(count, 4), torch.ones(count), [clip] * count, index)
    result: dict[str, Any] = scores.compute()
    return result


def test_shell_equals_the_loop() -> None:
    """Means run over frames, then clips; the best threshold and all numbers at it equal a plain loop's."""
    clips = {"long": smooth_masks(2, 7, (20, 26)), "short": smooth_masks(3, 4, (20, 26))}
    box = torch.tensor([[0.0, 0.0, 0.9, 0.9]])
    result = feed(SegmentationScores(), clips, box, batch=3)

    grid = [0.05 * k for k in range(1, 20)]
    table = {}  # threshold -> (5,) mean over clips
    for threshold in grid:
        means = []
        for soft, truth in clips.values():
            masks = (soft[:, 0] >= torch.tensor(threshold, dtype=torch.float32)).numpy()
            pairs = list(zip(masks, truth[:, 0].numpy(), strict=True))
            means.append(np.mean([(*loop_scores(*pair), loop_boundary(*pair)) for pair in pairs], axis=0))
        table[threshold] = np.mean(means, axis=0)
    best = max(grid, key=lambda threshold: table[threshold][3])
    names = ("precision", "recall", "f_measure", "j_mean", "boundary_f")
    assert result["best_threshold"] == pytest.approx(best) and best != 0.5
    for row, name in enumerate(names):
        assert result[name] == pytest.approx(table[grid[9]][row], abs=1e-9)
        assert result[f"best_{name}"] == pytest.approx(table[best][row], abs=1e-9)

    rates = []
    for _, truth in clips.values():
        hits = []
        for mask in truth[:, 0].numpy():
            if mask.any():
                y, x = np.nonzero(mask)
                true = (x.min(), y.min(), x.max() + 1, y.max() + 1)
                ours = (0.05 * 26, 0.05 * 20, 0.95 * 26, 0.95 * 20)
                width = min(true[2], ours[2]) - max(true[0], ours[0])
                overlap = width * (min(true[3], ours[3]) - max(true[1], ours[1]))
                areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (true, ours)]
                hits.append(overlap / (sum(areas) - overlap) > 0.5)
        rates.append(np.mean(hits))
    assert result["hit_rate"] == pytest.approx(np.mean(rates))
    assert result["best_hit_rate"] == result["hit_rate"]
    assert result["frames"] == 11
    assert list(result["clips"]) == ["long", "short"]
    assert result["clips"]["short"].keys() == result.keys() - {"clips"}
    assert all(type(value) in (float, int) for key, value in result.items() if key != "clips")


def test_frames_are_the_means_parts() -> None:
    """One row a frame, sorted, whose means over frames, then clips, are the result; without subject no overlap."""
    clips = {"b": smooth_masks(2, 7, (20, 26)), "a": smooth_masks(3, 4, (20, 26))}
    clips["a"][1][2] = False
    scores = SegmentationScores()
    box = torch.tensor([[0.0, 0.0, 0.9, 0.9]])
    feed(scores, clips, box, batch=3)
    result = feed(scores, clips, box, batch=4)  # all frames again
    rows = scores.frames()
    assert [(row["clip"], row["frame"]) for row in rows] == [("a", n) for n in range(4)] + [("b", n) for n in range(7)]
    empty = [n for n, mask in enumerate(torch.cat([clips["a"][1], clips["b"][1]])) if not mask.any()]
    assert [n for n, row in enumerate(rows) if math.isnan(row["box_iou"])] == empty and 2 in empty
    for column, name in (("j", "j_mean"), ("f_measure", "f_measure"), ("boundary_f", "boundary_f")):
        means = [np.mean([row[column] for row in rows if row["clip"] == clip]) for clip in ("a", "b")]
        assert result[name] == pytest.approx(np.mean(means))
    overlaps = [[row["box_iou"] for row in part] for part in (rows[:4], rows[4:])]
    rates = [np.mean([overlap > 0.5 for overlap in part if not math.isnan(overlap)]) for part in overlaps]
    assert result["hit_rate"] == pytest.approx(np.mean(rates))


def test_repeated_frames_count_once() -> None:
    """The same frames twice, in other batches and in another order, change nothing at all."""
    clips = {"long": smooth_masks(2, 7, (20, 26)), "short": smooth_masks(3, 4, (20, 26))}
    box = torch.tensor([[0.0, 0.0, 0.9, 0.9]])
    once = feed(SegmentationScores(), clips, box, batch=3)
    twice = SegmentationScores()
    feed(twice, dict(reversed(clips.items())), box, batch=4)
    assert feed(twice, clips, box, batch=2) == once


def test_fixed_threshold_off_the_grid() -> None:
    """The fixed threshold need not lie on the grid, and is then no candidate for the best one."""
    mask = torch.tensor([[0.9, 0.33, 0.1, 0.0]]).view(1, 1, 2, 2)
    truth = torch.tensor([[True, True, False, False]]).view(1, 1, 2, 2)
    scores = SegmentationScores(threshold=0.33, grid_step=0.25, boundary=False, ranking=False)
    result = feed(scores, {"one": (mask, truth)}, torch.tensor([[0, 0, 1.0, 1.0]]), batch=1)
    assert (result["j_mean"], result["best_threshold"], result["best_j_mean"]) == (1, 0.25, 1)
    assert "boundary_f" not in result and "average_precision" not in result


def test_resizes_the_prediction() -> None:
    """A prediction at the working size is resized bilinearly to the truth's size."""
    truth = torch.zeros(1, 1, 8, 8).bool()
    truth[..., 4:] = True
    small = truth[..., ::4, ::4].float()  # (1, 1, 2, 2)
    result = feed(SegmentationScores(), {"one": (small, truth)}, torch.tensor([[0.5, 0, 0.5, 1]]), batch=1)
    assert result["j_mean"] == 1 and result["hit_rate"] == 1


def test_empty_and_reset() -> None:
    """No frame gives an empty dict; reset forgets frames and names."""
    scores = SegmentationScores(boundary=False)
    mask = torch.ones(1, 1, 4, 4)
    assert feed(scores, {"one": (mask, mask > 0)}, torch.zeros(1, 4), batch=1)["frames"] == 1
    scores.reset()
    scores.update(mask[:0], mask[:0] > 0, torch.zeros(0, 4), torch.zeros(0), [], torch.zeros(0).long())
    assert scores.compute() == {} and scores.names == {}


def test_no_subject_at_all() -> None:
    """Without any subject the hit rate is NaN, and J rewards an empty prediction."""
    mask = torch.zeros(2, 1, 4, 4)
    result = feed(SegmentationScores(), {"one": (mask, mask > 0)}, torch.tensor([[0, 0, 1.0, 1.0]]), batch=2)
    assert result["j_mean"] == 1 and math.isnan(result["hit_rate"]) and math.isnan(result["average_precision"])


def test_clips_without_masks_do_not_weigh_on_the_pixels() -> None:
    """A clip with boxes only has a hit rate, no J; J is the mean over the clips that have masks."""
    mask, empty = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    whole = torch.tensor([[0, 0, 1.0, 1.0]]).repeat(2, 1)
    scores = SegmentationScores(boundary=False)
    known = torch.tensor([True, False])
    scores.update(mask, mask > 0, whole, torch.ones(2), ["masks"] * 2, torch.arange(2), annotated=known)
    none = torch.zeros(2, dtype=torch.bool)
    scores.update(empty, empty > 0, whole, torch.ones(2), ["boxes"] * 2, torch.arange(2), none, whole)
    result = scores.compute()
    assert (result["j_mean"], result["masks"], result["frames"], result["hit_rate"]) == (1, 1, 4, 1)
    assert "j_mean" not in result["clips"]["boxes"] and result["clips"]["boxes"]["hit_rate"] == 1
    assert result["clips"]["masks"]["masks"] == 1
