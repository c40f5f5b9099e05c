"""Calibrate the score of a trained run: it goes into the checkpoints, and what it is worth into a file beside them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

from backdrop.errors import RunError
from backdrop.files import whole_file, write_text
from backdrop.found import LIMIT
from backdrop.progress import progress
from datamodules import FramesDataModule
from experiments.calibration.frames import KEPT_OUT, OWN, PAINTED, Look, Looker, places, unseen
from experiments.runs.folder import StageFolder, require_whole
from experiments.runs.restore import load_model
from lightning_modules import SegmentationModule
from lightning_modules.score import Observed, Score, calibrated

Checkpoint = Literal["last", "best"]
PREFIX = "score."
"""Of what belongs to the score in the state of a model."""

FEWEST = 8
"""Frames of the training, at least, without which there is no score."""

_TELLS = 0.8  # share of the frames without a subject
Frames = TypeVar("Frames", Look, Observed)


class NotCalibrated(RunError):
    """A score cannot be had; the reason is one sentence."""


@dataclass(frozen=True)
class Share:
    """A share of some frames: how many there are, and what share of them, in [0, 1]."""

    frames: int
    share: float

    @classmethod
    def of(cls, chosen: Tensor) -> Share:
        """Of frames, (N,), bool."""
        return cls(len(chosen), round(float(chosen.float().mean()), 4))


@dataclass(frozen=True)
class Calibration:
    """What a score is worth, on frames that had no part in its fit.

    Attributes:
        step: Optimiser steps of the checkpoint.
        held_out: What the frames are by which the limit was set: ``validation`` (not trained on) or ``training``
            (trained on, and kept out of the fit of the score only).
        fitted: Frames of the training in its fit.
        found: Of the frames held out, those that are found.
        painted_out: Of frames with the subject painted out, those that are found empty.
        pieces: Of pieces of these, enlarged, those that are found empty.
        overlap: Mean overlap of mask and target in the frames held out; None where there are no targets.
    """

    step: int
    held_out: Literal["validation", "training"]
    fitted: int
    found: Share
    painted_out: Share
    pieces: Share
    overlap: float | None

    def sentence(self) -> str:
        """What it means, in words."""
        count = self.painted_out.frames + self.pieces.frames
        empty = sum(one.share * one.frames for one in (self.painted_out, self.pieces)) / count
        which = {"validation": "that it never saw", "training": "of the training that were kept out of its fit"}
        line = (
            f"The score finds the subject in {self.found.share:.0%} of {self.found.frames} frames "
            f"{which[self.held_out]}, and none in {empty:.0%} of {count} frames without it"
        )
        if empty >= _TELLS:
            return f"{line}: it tells frames with the subject from others."
        return f"{line}: it hardly tells them apart, so look at the masks yourself."


def calibrate(folder: StageFolder, data: FramesDataModule) -> Calibration:
    """Calibrate the score of each checkpoint of a finished stage 2, and write ``score.json``.

    Args:
        folder: The stage's folder.
        data: Its data, set up for a training.

    Returns:
        What the score of the last checkpoint is worth.

    Raises:
        NotCalibrated: If there is no mask to score, or too little to calibrate on.
        RunError: If a checkpoint is missing or damaged.
    """
    done: dict[int, tuple[Score, Calibration]] = {}
    worth: dict[str, Calibration] = {}
    for checkpoint in get_args(Checkpoint):
        path = folder.checkpoints / f"{checkpoint}.ckpt"
        if checkpoint != "last" and not path.is_file():
            continue
        step = int(require_whole(path)["global_step"])
        if step not in done:
            done[step] = _calibrated(folder, checkpoint, data, step)
        score, worth[checkpoint] = done[step]
        keep_score(path, score)
    write_text(folder.score_file, json.dumps({name: asdict(one) for name, one in worth.items()}, indent=1) + "\n")
    return worth["last"]


def keep_score(path: Path, score: Score) -> None:
    """Put a score into a checkpoint, in the place of the one that is there.

    Args:
        path: The checkpoint.
        score: The score.
    """
    checkpoint = require_whole(path)
    state = {name: value for name, value in checkpoint["state_dict"].items() if not name.startswith(PREFIX)}
    checkpoint["state_dict"] = state | {f"{PREFIX}{name}": value for name, value in score.state_dict().items()}
    with whole_file(path, durable=True) as part:
        torch.save(checkpoint, part)


def _calibrated(
    folder: StageFolder, checkpoint: Checkpoint, data: FramesDataModule, step: int
) -> tuple[Score, Calibration]:
    model = load_model(folder, checkpoint)
    if not isinstance(model, SegmentationModule) or model.foreground is None:
        raise NotCalibrated("There is no score: this model was trained without a mask.")
    own = places(data.dataset("train"), OWN)
    validation = unseen(data)
    if len(validation) < FEWEST:
        validation = []
    painted = own[:: max(1, -(-len(own) // PAINTED))]
    if len(own) < FEWEST:
        raise NotCalibrated(f"There is no score: it takes {FEWEST} frames to train on, and there are {len(own)}.")
    with progress(len(own) + len(validation) + 2 * len(painted), "Calibrating the score") as tick:
        looker = Looker(model, tick)
        trained = looker.own(own)
        empty = looker.empty(painted)
        held_out = looker.own(validation) if validation else None
    if empty is None or empty[0].frames < KEPT_OUT:
        raise NotCalibrated("There is no score: hardly a frame shows a subject that could be painted out of it.")
    targets = "target" in own[0].read()
    return _fitted(trained, held_out, *empty, step=step, targets=targets)


def _fitted(
    trained: Look, held_out: Look | None, painted: Observed, pieces: Observed, step: int, targets: bool
) -> tuple[Score, Calibration]:
    """Fit the score to two thirds of the frames, and measure it on the others."""
    own, measured = (trained, held_out) if held_out is not None else _parted(trained)
    (fit_painted, painted), (fit_pieces, pieces) = _parted(painted), _parted(pieces)
    score = calibrated(own.seen, own.overlap, own.trust, Observed.joined([fit_painted, fit_pieces]), measured.seen)
    calibration = Calibration(
        step,
        "training" if held_out is None else "validation",
        own.frames,
        Share.of(score(measured.seen) >= LIMIT),
        Share.of(score(painted) < LIMIT),
        Share.of(score(pieces) < LIMIT),
        round(float(measured.overlap.mean()), 4) if targets else None,
    )
    return score, calibration


def _parted(frames: Frames) -> tuple[Frames, Frames]:
    """Frames that are in the fit, and one in so many that is kept out of it."""
    kept = torch.arange(frames.frames) % KEPT_OUT == KEPT_OUT - 1
    return frames.rows(~kept), frames.rows(kept)
