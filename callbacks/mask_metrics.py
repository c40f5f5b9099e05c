"""MaskMetrics: feeds, computes and logs the measures of masks and boxes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from backdrop.contracts import Batch, StepOutput
from backdrop.settings import Measurement
from callbacks.measures.boxes import likeliest_centres
from callbacks.measures.floors import floor_predictions
from callbacks.scores import SegmentationScores, SubjectScores
from callbacks.steps import step

LOGGED_IN_VALIDATION = (
    "j_mean",
    "f_measure",
    "precision",
    "recall",
    "hit_rate",
    "peak_in_box",
    "best_j_mean",
    "best_threshold",
)


class MaskMetrics(pl.Callback):
    """Measure masks and boxes against the annotation in validation and test (paper, Sec. 4, Tables 1 and 2).

    It acts on batches with ``mask`` or ``box`` whose step returned both, and on their frames with a true mask or a true
    box only. Boxes are held against the true box, or else the tight box of the true mask; what needs a true mask is
    left out where no frame has one. Where a batch says of which pixels the mask is ``known``, the others count for
    nothing: they are taken as background in the truth and in every prediction. Validation logs ``val/j_mean``,
    ``val/f_measure``, ``val/precision``, ``val/recall``, ``val/hit_rate``, ``val/best_j_mean`` and
    ``val/best_threshold``, where cells have probabilities ``val/peak_in_box`` too, and leaves out what is slow. Test
    logs every number as ``test/...`` and keeps all of them in :attr:`results`.

    Two floors, measured by the same code, say what a prediction that has looked at nothing scores: ``whole_frame``
    (mask of ones, box of the frame) and ``centred_blob`` (a Gaussian of 0.25 of each axis about the centre, worth
    exp(-r^2 / 2), and the tight box of its mask at the fixed threshold). Their confidence is 1 throughout.

    Where a test step returns several subjects (``subject_mask``), these are held one by one against ``objects`` of the
    batch, or against the true mask as a single one, by :class:`~callbacks.scores.SubjectScores`; the measures
    above are then those of their union and of the surest box.

    Attributes:
        results: After a test epoch, as plain numbers: the keys of :class:`~callbacks.scores.SegmentationScores`, its
            ``clips`` by name, and ``floors`` with ``whole_frame`` and ``centred_blob``; ``subjects`` with the keys of
            :class:`~callbacks.scores.SubjectScores` where there were several. Empty if nothing was annotated.

    Args:
        threshold: The fixed threshold, in (0, 1).
        grid_step: Distance of the thresholds among which the best is sought (the paper's is 0.05).
        boundary: Compute the boundary F in test, which takes most of the time.
    """

    def __init__(
        self,
        threshold: Measurement[float] = 0.5,
        grid_step: Measurement[float] = 0.05,
        boundary: Measurement[bool] = True,
    ) -> None:
        """Set up one measure for validation, and three for test: the prediction's and the floors'."""
        super().__init__()
        self.threshold = threshold
        self.results: dict[str, Any] = {}
        self.validation = SegmentationScores(threshold, grid_step, boundary=False, ranking=False)
        self.test = SegmentationScores(threshold, grid_step, boundary)
        self.subjects = SubjectScores(threshold)
        self.floors = {
            "whole_frame": SegmentationScores(threshold, grid_step, boundary),
            "centred_blob": SegmentationScores(threshold, grid_step, boundary),
        }

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last epoch, and the sanity check."""
        self.validation.to(pl_module.device).reset()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the annotated frames of one validation batch."""
        found = step(outputs, batch)
        if found is not None and (frames := _annotated_frames(*found)):
            self.validation.update(**frames)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the numbers that steer the training."""
        results = _compute(self.validation)
        if results:
            logged = {f"val/{name}": results[name] for name in LOGGED_IN_VALIDATION if name in results}
            pl_module.log_dict(logged, sync_dist=True)

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last test."""
        self.results = {}
        for scores in self._tested().values():
            scores.to(pl_module.device).reset()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the annotated frames of one test batch, as predicted and as the floors would have it."""
        found = step(outputs, batch)
        if found is None:
            return
        frames = _annotated_frames(*found)
        if frames and "subject_mask" in found[0] and "mask" in found[1]:
            self.subjects.update(**_several(*found))
        if frames:
            self.test.update(**frames)
            truth = frames["truth"]
            for name, (mask, box) in floor_predictions(truth, self.threshold).items():
                confidence = torch.ones(len(truth), device=truth.device)
                guess = {"prediction": mask, "box": box, "confidence": confidence, "peak": None, "sure": None}
                self.floors[name].update(**{**frames, **guess})

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the test's numbers and keep them in :attr:`results`."""
        self.compute_results()
        numbers = {f"test/{name}": v for name, v in self.results.items() if not isinstance(v, dict)}
        several = self.results.get("subjects", {})
        numbers |= {f"test/subjects_{name}": v for name, v in several.items() if not isinstance(v, dict)}
        pl_module.log_dict({name: float(value) for name, value in numbers.items()}, sync_dist=True)

    def frame_state(self) -> dict[str, Any]:
        """What the test has kept of each frame, as tensors and names that ``torch.save`` keeps."""
        return {name: scores.frame_state() for name, scores in self._tested().items()}

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add the test frames of another measure, for :meth:`compute_results`.

        Args:
            state: What :meth:`frame_state` of one with the same settings has returned.
        """
        for name, scores in self._tested().items():
            scores.merge_frames(state[name])

    def _tested(self) -> dict[str, SegmentationScores | SubjectScores]:
        """Everything that a test measures."""
        return {"test": self.test, "subjects": self.subjects, **self.floors}

    def compute_results(self) -> None:
        """Make :attr:`results` of all test frames so far."""
        results = _compute(self.test)
        floors = {name: _compute(scores) for name, scores in self.floors.items()}
        for floor in floors.values():
            floor.pop("clips", None)
        several = _compute(self.subjects)
        self.results = {**results, "floors": floors} if results else {}
        if several:
            self.results["subjects"] = several


def _annotated_frames(outputs: StepOutput, batch: Batch) -> dict[str, Any]:
    """Select the arguments of :meth:`SegmentationScores.update` from a step; empty if there is nothing to measure."""
    if not {"mask", "box"} & batch.keys() or not {"mask", "box"} <= outputs.keys():
        return {}
    # Without any true mask the prediction's size serves: an intersection over union does not depend on it.
    truth = batch["mask"] if "mask" in batch else torch.zeros_like(outputs["mask"], dtype=torch.bool)
    count, device = len(truth), truth.device
    annotated = torch.full((count,), "mask" in batch, device=device)
    if "annotated" in batch:
        annotated = batch["annotated"].to(device)
    true_box = batch["box"].to(device) if "box" in batch else torch.full((count, 4), math.nan, device=device)
    rows = (annotated | ~true_box.isnan().any(1)).nonzero().flatten()
    if not len(rows):
        return {}
    confidence = outputs["confidence"] if "confidence" in outputs else torch.ones(count, device=device)
    return {
        "prediction": outputs["mask"][rows],
        "truth": truth[rows].bool(),
        "box": outputs["box"][rows],
        "confidence": confidence[rows],
        "clip": [batch["clip"][row] for row in rows.tolist()],
        "index": batch["index"].to(device)[rows],
        "annotated": annotated[rows],
        "known": batch["known"][rows] if "known" in batch else None,
        "true_box": true_box[rows],
        "peak": likeliest_centres(outputs["probability"])[rows] if "probability" in outputs else None,
        "sure": outputs["score"][rows] if "score" in outputs else None,
    }


def _several(outputs: StepOutput, batch: Batch) -> dict[str, Any]:
    """Select the arguments of :meth:`SubjectScores.update`: the frames with a true mask."""
    annotated = batch["annotated"] if "annotated" in batch else torch.ones(len(batch["clip"]), dtype=torch.bool)
    rows = annotated.nonzero().flatten()
    objects = batch["objects"] if "objects" in batch else batch["mask"].to(torch.uint8)
    return {
        "mask": outputs["subject_mask"][rows],
        "box": outputs["subject_box"][rows],
        "confidence": outputs["subject_confidence"][rows],
        "objects": objects[rows],
        "known": batch["known"][rows] if "known" in batch else None,
        "clip": [batch["clip"][row] for row in rows.tolist()],
        "index": batch["index"][rows],
    }


def _compute(scores: SegmentationScores | SubjectScores) -> dict[str, Any]:
    """Gather and average; every process has to come here, also one that saw no annotated frame."""
    scores.share_names()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*was called before the ``update`` method.*")
        results: dict[str, Any] = scores.compute()
    return results
