"""MaskMetrics in a Trainer: what it logs and keeps, and when it stays out of the way."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.loggers import CSVLogger

from callbacks import MaskMetrics
from callbacks.measures.boxes import tight_boxes
from callbacks.measures.floors import floor_predictions
from tests.callbacks import toy

LOGGED = {"j_mean", "f_measure", "precision", "recall", "hit_rate", "peak_in_box", "best_j_mean", "best_threshold"}
FIXED = {"j_mean", "f_measure", "precision", "recall", "boundary_f", "hit_rate"}
KEYS = FIXED | {f"best_{name}" for name in FIXED} | {"best_threshold"}
KEYS |= {"peak_in_box", "average_precision", "frames", "masks"}
CLIPS = {"bear": 6, "camel": 5}


def test_fit_logs_validation(tmp_path: Path) -> None:
    """Validation during training logs the eight numbers; the sanity check leaves nothing behind."""
    logger = CSVLogger(tmp_path)
    data = toy.loader(toy.ToyFrames(CLIPS))
    metrics = MaskMetrics()
    trainer = toy.trainer(tmp_path, [metrics], logger=logger, max_epochs=2, num_sanity_val_steps=1)
    trainer.fit(toy.ToyModule(), data, data)
    assert trainer.callback_metrics.keys() == {f"val/{name}" for name in LOGGED}
    assert metrics.validation.compute()["frames"] == 11
    assert "val/j_mean" in (Path(logger.log_dir) / "metrics.csv").read_text()
    assert metrics.results == {}


def test_results(tmp_path: Path) -> None:
    """A test keeps every number, by clip and for both floors, as plain JSON, and logs them."""
    metrics = MaskMetrics()
    trainer = toy.trainer(tmp_path, [metrics])
    trainer.test(toy.ToyModule(), toy.loader(toy.ToyFrames(CLIPS)), verbose=False)
    results = metrics.results
    assert results.keys() == KEYS | {"clips", "floors"}
    assert results["clips"].keys() == CLIPS.keys()
    assert results["floors"].keys() == {"whole_frame", "centred_blob"}
    assert all(table.keys() == KEYS for table in results["clips"].values())
    assert all(table.keys() == KEYS - {"peak_in_box"} for table in results["floors"].values())  # they have no cells
    assert json.loads(json.dumps(results)) == results
    assert trainer.callback_metrics.keys() == {f"test/{name}" for name in KEYS}
    mean = sum(results["clips"][name]["j_mean"] for name in CLIPS) / 2
    assert results["j_mean"] == pytest.approx(mean) and results["frames"] == 11
    assert results["best_j_mean"] >= results["j_mean"]
    whole = results["floors"]["whole_frame"]
    assert whole["recall"] < 1  # frames without subject score 0
    assert whole["j_mean"] == pytest.approx(whole["precision"])


def test_only_annotated_frames_count(tmp_path: Path) -> None:
    """Frames that are not annotated are left out, not taken for empty ones."""
    metrics = MaskMetrics()
    frames = toy.ToyFrames(CLIPS, annotated=lambda position: position in (0, 1, 7))
    toy.trainer(tmp_path, [metrics]).test(toy.ToyModule(), toy.loader(frames), verbose=False)
    assert metrics.results["frames"] == 3
    assert {name: table["frames"] for name, table in metrics.results["clips"].items()} == {"bear": 2, "camel": 1}


class HalfKnown(toy.ToyFrames):
    """Of the masks the left half is known."""

    def __getitem__(self, position: int) -> dict[str, Any]:
        """Draw one frame."""
        frame = super().__getitem__(position)
        known = torch.zeros_like(frame["mask"])
        known[..., :32] = True
        return {**frame, "mask": frame["mask"] & known, "known": known}


def test_what_is_unknown_counts_in_no_number(tmp_path: Path) -> None:
    """The floor of the whole frame has the precision of its known half, in the test and in validation too."""
    frames, metrics = HalfKnown({"bear": 4}), MaskMetrics()
    trainer = toy.trainer(tmp_path, [metrics])
    trainer.test(toy.ToyModule(), toy.loader(frames), verbose=False)
    shares = [float(frames[position]["mask"][..., :32].float().mean()) for position in range(4)]
    whole = metrics.results["floors"]["whole_frame"]
    assert whole["j_mean"] == pytest.approx(sum(shares) / 4) and whole["precision"] == whole["j_mean"]
    trainer.validate(toy.ToyModule(), toy.loader(frames), verbose=False)
    assert trainer.callback_metrics["val/j_mean"] == pytest.approx(metrics.results["j_mean"])


@pytest.mark.parametrize("case", ["no masks", "none annotated", "inpainter"])
def test_stays_out_of_the_way(tmp_path: Path, case: str) -> None:
    """Without annotation, or with the inpainter's output, nothing is logged and nothing breaks."""
    frames = toy.ToyFrames(CLIPS, annotated=lambda position: case != "none annotated", masks=case != "no masks")
    metrics = MaskMetrics()
    trainer = toy.trainer(tmp_path, [metrics])
    module = toy.ToyModule(inpainter=case == "inpainter")
    trainer.validate(module, toy.loader(frames), verbose=False)
    assert not trainer.callback_metrics
    trainer.test(module, toy.loader(frames), verbose=False)
    assert not trainer.callback_metrics and metrics.results == {}


NOWHERE = (math.nan,) * 4


def predicted_boxes(frames: Any) -> list[tuple[float, ...]]:  # noqa: ANN401
    """What the toy module predicts, by position in the data set."""
    batches = toy.loader(frames)
    return [tuple(box) for batch in batches for box in toy.ToyModule()._step(batch)["box"].tolist()]


def test_boxes_alone_are_scored(tmp_path: Path) -> None:
    """Without masks, true boxes give the hit rate and the ranked precision, and nothing that needs a mask."""
    clips = {"bear": 4, "camel": 2}
    own = predicted_boxes(toy.ToyFrames(clips, masks=False))
    truth = {0: own[0], 1: own[1], 2: (0.9, 0.9, 0.05, 0.05), 4: own[4], 5: own[5]}  # 3 hits of 4 in bear, 2 of 2
    frames = toy.ToyFrames(clips, masks=False, box=lambda position: truth.get(position, NOWHERE))
    metrics = MaskMetrics()
    trainer = toy.trainer(tmp_path, [metrics])
    trainer.test(toy.ToyModule(), toy.loader(frames), verbose=False)
    results = metrics.results
    wanted = {"hit_rate", "peak_in_box", "average_precision", "frames", "masks"}
    assert results.keys() == wanted | {"clips", "floors"}
    assert all(table.keys() == wanted for table in results["clips"].values())
    assert (results["frames"], results["masks"]) == (5, 0)
    assert results["clips"]["bear"]["hit_rate"] == pytest.approx(2 / 3)
    assert results["hit_rate"] == pytest.approx((2 / 3 + 1) / 2)
    assert 0 < results["average_precision"] < 1
    assert trainer.callback_metrics.keys() == {f"test/{name}" for name in wanted}
    trainer.validate(toy.ToyModule(), toy.loader(frames), verbose=False)
    assert {name: float(value) for name, value in trainer.callback_metrics.items()} == {
        "val/hit_rate": pytest.approx((2 / 3 + 1) / 2),
        "val/peak_in_box": pytest.approx(results["peak_in_box"]),
    }


def test_a_true_box_wins_over_that_of_the_mask(tmp_path: Path) -> None:
    """Masks and boxes on different frames: pixels are scored on the masks, boxes on the true box or else the mask's."""
    clips = {"bear": 4}
    own = predicted_boxes(toy.ToyFrames(clips))
    far = (0.9, 0.9, 0.05, 0.05)
    plain, given = MaskMetrics(boundary=False), MaskMetrics(boundary=False)
    frames = toy.ToyFrames(clips, annotated=lambda position: position < 2)
    toy.trainer(tmp_path, [plain]).test(toy.ToyModule(), toy.loader(frames), verbose=False)
    truth = {0: own[0], 1: far, 2: own[2]}  # frame 2 has a box only, frame 3 nothing
    frames = toy.ToyFrames(
        clips, annotated=lambda position: position < 2, box=lambda position: truth.get(position, NOWHERE)
    )
    toy.trainer(tmp_path, [given]).test(toy.ToyModule(), toy.loader(frames), verbose=False)
    assert (plain.results["frames"], plain.results["masks"]) == (2, 2)
    assert (given.results["frames"], given.results["masks"]) == (3, 2)
    assert given.results["hit_rate"] == pytest.approx(2 / 3)
    for name in ("j_mean", "f_measure", "precision", "recall", "best_j_mean", "best_threshold"):
        assert given.results[name] == plain.results[name]


def test_without_boundary(tmp_path: Path) -> None:
    """The slow measure can be left out; its keys go with it."""
    metrics = MaskMetrics(boundary=False)
    toy.trainer(tmp_path, [metrics]).test(toy.ToyModule(), toy.loader(toy.ToyFrames(CLIPS)), verbose=False)
    assert metrics.results.keys() == KEYS - {"boundary_f", "best_boundary_f"} | {"clips", "floors"}


def test_floors() -> None:
    """The blob is exp(-r^2 / 2) with r in units of a quarter of each axis; its box is its mask's at the threshold."""
    floors = floor_predictions(torch.zeros(2, 1, 40, 80).bool(), 0.5)
    mask, box = floors["whole_frame"]
    assert mask.shape == (2, 1, 40, 80) and bool((mask == 1).all())
    assert box.tolist() == [[0, 0, 1, 1]] * 2
    blob, box = floors["centred_blob"]
    x, y = (61.5 - 40) / 20, (9.5 - 20) / 10  # pixel (9, 61) from the centre, in standard deviations
    assert blob[1, 0, 9, 61].item() == pytest.approx(math.exp(-(x * x + y * y) / 2), rel=1e-5)
    left, top, right, bottom = tight_boxes(blob >= 0.5)[0].tolist()
    expected = [(left + right) / 80 - 1, (top + bottom) / 40 - 1, (right - left) / 80, (bottom - top) / 40]
    assert box[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert box[0, 2].item() == pytest.approx(2 * 0.25 * math.sqrt(2 * math.log(2)), abs=0.02)


class Several(toy.ToyModule):
    """Finds the true subject as the first of two slots; the second is empty."""

    def _step(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        masks = batch["mask"].float()
        corners = tight_boxes(batch["mask"]).nan_to_num(0.0) / torch.tensor([32.0, 24.0, 32.0, 24.0]) - 1
        box = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, (corners[:, 2:] - corners[:, :2]) / 2], dim=1)
        there = batch["mask"].flatten(1).any(1).float()
        return super()._step(batch) | {
            "subject_mask": torch.cat([masks, 0 * masks], dim=1),
            "subject_box": torch.stack([box, 0 * box], dim=1),
            "subject_confidence": torch.stack([there, 0 * there], dim=1),
        }


def test_several_subjects_are_scored_one_by_one(tmp_path: Path) -> None:
    """A true mask without numbers is one subject; frames without one count in what was found, not in how well."""
    metrics = MaskMetrics(boundary=False)
    frames = toy.ToyFrames(CLIPS, annotated=lambda position: position != 0)
    trainer = toy.trainer(tmp_path, [metrics])
    trainer.test(Several(), toy.loader(frames), verbose=False)
    several = metrics.results["subjects"]
    assert several["subject_j"] == several["subject_recall"] == several["count_accuracy"] == 1
    assert several["clips"]["bear"]["subjects_there"] == pytest.approx(4 / 5)
    assert several["average_precision"] == pytest.approx(1)
    assert float(trainer.callback_metrics["test/subjects_subject_j"]) == 1
    assert json.loads(json.dumps(metrics.results)) == metrics.results
    both = MaskMetrics(boundary=False)
    torch.save(metrics.frame_state(), tmp_path / "frames.pt")
    both.merge(torch.load(tmp_path / "frames.pt", weights_only=True))
    both.compute_results()
    assert both.results == metrics.results
