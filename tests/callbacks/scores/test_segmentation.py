"""SegmentationScores: the mean over frames, then over clips, the best threshold, and what is left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from callbacks.measures.boundary import boundary_scores
from callbacks.measures.boxes import box_hits, tight_boxes
from callbacks.measures.pixels import pixel_scores, threshold_counts
from callbacks.scores import SegmentationScores
from callbacks.scores.frames import clip_key
from tests.callbacks.toy import smooth_masks


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


def test_means_run_over_frames_then_clips() -> None:
    """The best threshold and all numbers at it are those of a plain mean of the measures of single frames."""
    clips = {"long": smooth_masks(2, 7, (20, 26)), "short": smooth_masks(3, 4, (20, 26))}
    box = torch.tensor([[0.0, 0.0, 0.9, 0.9]])
    result = feed(SegmentationScores(), clips, box, batch=3)

    grid = [0.05 * k for k in range(1, 20)]
    table = {}  # threshold -> (5,) mean over clips
    for threshold in grid:
        level, means = torch.tensor([threshold]), []
        for soft, truth in clips.values():
            pixels = pixel_scores(*threshold_counts(soft, truth, level))[:, :, 0].numpy()
            masks = zip((soft[:, 0] >= level).numpy(), truth[:, 0].numpy(), strict=True)
            edges = [float(boundary_scores(mask[None], true)[0]) for mask, true in masks]
            means.append(np.concatenate([pixels.mean(0), [np.mean(edges)]]))
        table[threshold] = np.mean(means, axis=0)
    best = max(grid, key=lambda threshold: table[threshold][3])
    names = ("precision", "recall", "f_measure", "j_mean", "boundary_f")
    assert result["best_threshold"] == pytest.approx(best) and best != 0.5
    for row, name in enumerate(names):
        assert result[name] == pytest.approx(table[grid[9]][row], abs=1e-9)
        assert result[f"best_{name}"] == pytest.approx(table[best][row], abs=1e-9)

    ours = torch.tensor([[0.05 * 26, 0.05 * 20, 0.95 * 26, 0.95 * 20]])
    hits = [box_hits(ours.expand(len(truth), 4), tight_boxes(truth)) for _, truth in clips.values()]
    rates = [float(hit.nanmean()) for hit in hits]
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


def test_peaks_are_counted_in_the_frames_with_a_subject() -> None:
    """Means over frames, then clips; frames without subject are left out, and without peaks there is no such number."""
    truth = torch.zeros(5, 1, 8, 16, dtype=torch.bool)
    truth[:4, :, 2:6, 4:8] = True  # x from -0.5 to 0, y from -0.5 to 0.5; the last frame has no subject
    peak = torch.tensor([[-0.25, 0.0], [-0.5, 0.5], [0.25, 0.0], [-0.25, -0.75], [-0.25, 0.0]])
    box, clip = torch.tensor([[0.0, 0.0, 0.5, 0.5]]).repeat(5, 1), ["a", "a", "a", "b", "b"]
    frames = (truth.float(), truth, box, torch.ones(5), clip, torch.arange(5))
    scores = SegmentationScores(boundary=False)
    scores.update(*frames, peak=peak)
    result = scores.compute()
    assert [table["peak_in_box"] for table in result["clips"].values()] == [pytest.approx(2 / 3), 0]
    assert result["peak_in_box"] == pytest.approx(1 / 3)
    assert [row["peak_in_box"] for row in scores.frames()][:4] == [1, 1, 0, 0]
    assert math.isnan(scores.frames()[4]["peak_in_box"])
    without = SegmentationScores(boundary=False)
    without.update(*frames)
    assert "peak_in_box" not in without.compute() and "peak_in_box" not in without.compute()["clips"]["a"]


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


@pytest.mark.parametrize("predicted", [0.0, 0.9])
@pytest.mark.parametrize("true", [False, True])
def test_unknown_pixels_are_in_no_score(predicted: float, true: bool) -> None:
    """Whatever stands there; fractions by hand, of a frame of 4 x 6 pixels whose left four columns are known.

    True are columns 1 and 2, predicted 2 and 3: both 4, predicted 8, true 8, union 12.
    """
    truth, soft, known = torch.zeros(1, 1, 4, 6).bool(), torch.zeros(1, 1, 4, 6), torch.ones(1, 1, 4, 6).bool()
    truth[..., 1:3], soft[..., 2:4], known[..., 4:] = True, 0.9, False
    truth[..., 4:], soft[..., 4:] = true, predicted
    scores = SegmentationScores(boundary=False, ranking=False)
    box = torch.tensor([[0.0, 0.0, 1 / 3, 1.0]])  # columns 2 and 3; the true one is 1 and 2
    scores.update(soft, truth, box, torch.ones(1), ["a"], torch.zeros(1).long(), known=known)
    result = scores.compute()
    for name, expected in (("precision", 4 / 8), ("recall", 4 / 8), ("f_measure", 8 / 16), ("j_mean", 4 / 12)):
        assert result[name] == result[f"best_{name}"] == pytest.approx(expected)
    assert scores.frames()[0]["box_iou"] == pytest.approx(1 / 3)


def test_outlines_and_boxes_end_where_nothing_is_known() -> None:
    """The boundary F is that of masks that are empty there, and the true box that of the known subject.

    So the official tool of DAVIS-2017 treats its void pixels (davis2017-evaluation at 30b698a, ``f_measure``): it
    multiplies both masks by ``logical_not(void_pixels)`` before it draws their outlines.
    """
    soft, truth = smooth_masks(2, 7, (20, 26))
    known = torch.rand(7, 1, 20, 26, generator=torch.Generator().manual_seed(0)) > 0.2
    frames = (torch.tensor([[0.0, 0.0, 0.9, 0.9]]).expand(7, 4), torch.ones(7), ["a"] * 7, torch.arange(7))
    open_, erased = SegmentationScores(), SegmentationScores()
    open_.update(soft, truth, *frames, known=known)
    erased.update(soft * known, truth & known, *frames)
    assert open_.compute() == erased.compute()
    all_known = SegmentationScores()
    all_known.update(soft, truth, *frames, known=torch.ones_like(known))
    without = SegmentationScores()
    without.update(soft, truth, *frames)
    assert all_known.compute() == without.compute() != open_.compute()
