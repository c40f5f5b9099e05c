"""What a training will do, on which frames, at which size, and about how long it will take: said before it begins."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from backdrop.settings import import_class
from datamodules import FramesDataModule
from datamodules.clips.problems import counted
from datamodules.cues.making import features_name
from experiments.benchmarks.gpu import StepTimer
from experiments.runs.lightning_cli import Understood
from experiments.runs.precision import BF16, FLOAT32, on_processor, slow_bf16
from experiments.runs.trainers import measuring_trainer
from lightning_modules import SegmentationModule
from lightning_modules.building import build, without_files

TARGET_COST = {"none": 1.1}
"""What the target of a frame costs without features, in training steps of the small profile on the same processor."""
USUAL_TARGET_COST = 1.75
"""The same with the features of a network: 0.99 s to 0.55 s, and 1.9 s to 1.1 s, see docs/results/targets.md."""
WARM_UP, TIMED = 1, 2
WORTH = 100
"""From so many steps and frames on the time is worth an estimate."""


@dataclass(frozen=True)
class Plan:
    """What a training will do.

    Attributes:
        inpaint: Stage 1; None where nothing asks an inpainter.
        segment: Stage 2.
    """

    inpaint: Understood | None
    segment: Understood

    def sentences(self) -> Iterator[str]:
        """What is said of it, the last line as soon as it is measured.

        Yields:
            A line each: frames, size of the model, stages, time.

        Raises:
            FileNotFoundError: If there are no frames.
            ValueError: If no clip can be used.
        """
        data = self.segment.data
        frames = 0
        if isinstance(data, FramesDataModule):
            with _silent():
                clips = data.listed_clips("train")
                names = data.clip_names()
            whole = set(names["train"]) <= set(names.get("test", ()))
            frames = sum(map(len, clips))
            sizes = list(dict.fromkeys(clip.source.original_size() for clip in clips))
            shown = " and ".join(f"{width}x{height}" for height, width in sizes[:2])
            aside = "none is set aside" if whole else "the others validate and test"
            aside = f"{data.held_out:.0%} of each, at its end, is set aside" if whole and data.held_out else aside
            more = f" and {len(sizes) - 2} more sizes" if len(sizes) > 2 else ""
            yield f"videos: {counted(len(clips), 'clip')} to train on, about {frames} frames of {shown}{more}; {aside}"
            height, width = data.working_size
            yield f"model: it sees frames at {width}x{height}; its masks are scaled to the size of the video"
        steps = {stage: _steps(what) for stage, what in (("1", self.inpaint), ("2", self.segment)) if what is not None}
        if self.inpaint is None:
            yield "stage 1: left out, as nothing in this training uses an inpainter"
        for stage, long in steps.items():
            yield f"stage {stage}: {long}"
        if known := self._time(frames):
            yield known

    def _time(self, frames: int) -> str | None:
        """How long it will take; None where that is not known, or not worth a measurement."""
        trainer, data = self.segment.config["trainer"], self.segment.data
        limit, kind = trainer.get("max_steps") or 0, import_class(self.segment.config["model"]["class_path"])
        if limit < 1 or (limit < WORTH and frames < WORTH):
            return None
        if not isinstance(data, FramesDataModule) or kind is None or not issubclass(kind, SegmentationModule):
            return None
        step = seconds_of_step(self.segment)
        parts, left_out = {"stage 2": limit * step}, list[str]()
        if data.targets and on_processor(trainer["accelerator"]):
            cost = TARGET_COST.get(features_name(data.target_features), USUAL_TARGET_COST)
            parts = {"the targets, which are made once": frames * cost * step} | parts
        elif data.targets:
            left_out.append("the targets, which take the processor a second or two a frame")
        if data.plates:
            left_out.append("background plates")
        if self.inpaint is not None:
            left_out.append("stage 1")
        what = ", and ".join(f"{minutes(seconds)} for {name}" for name, seconds in parts.items())
        without = f", without {' and '.join(left_out)}" if left_out else ""
        total = f"{minutes(sum(parts.values()))}: " if len(parts) > 1 else ""
        return f"time: about {total}{what}{without} (an estimate from {TIMED} steps on this machine)"


def minutes(seconds: float) -> str:
    """A time in words: ``40 s``, ``7 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def seconds_of_step(what: Understood) -> float:
    """Measure a training step of stage 2 on a batch of noise.

    Args:
        what: The stage.

    Returns:
        Seconds of a step, loading aside.
    """
    trainer, model = what.config["trainer"], what.config["model"]
    kind = import_class(model["class_path"])
    assert kind is not None and issubclass(kind, SegmentationModule) and isinstance(what.data, FramesDataModule)
    precision = trainer["precision"]
    if precision == BF16 and slow_bf16(trainer["accelerator"]):
        precision = FLOAT32
    size, count = what.data.working_size, what.data.batch_size
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        module = build(kind, without_files(kind, model["init_args"]))
        module.inpainter_ready.fill_(True)
        batch: dict[str, Any] = {"image": torch.rand(count, 3, *size)}
        batch |= {name: torch.rand(count, 3 if name == "plate" else 1, *size) for name in module.scene.needs}
        batch |= {"clip": ["noise"] * count, "index": torch.arange(count)}
        timer, steps = StepTimer(WARM_UP), WARM_UP + TIMED
        batches: DataLoader[dict[str, Any]] = DataLoader([batch] * steps, batch_size=None)  # type: ignore[arg-type]
        how = {"accelerator": trainer["accelerator"], "precision": precision, "max_steps": steps}
        with warnings.catch_warnings():  # Lightning misses a validation, which noise does not need
            warnings.filterwarnings("ignore", message="You defined a `validation_step` but have no `val_dataloader`")
            measuring_trainer([timer], Path(folder), **how).fit(module, batches)
    return timer.seconds / TIMED


def _steps(what: Understood) -> str:
    """How long a stage trains, in words."""
    limits = what.config["trainer"]
    if (steps := limits.get("max_steps") or 0) > 0:
        return counted(steps, "step")
    return f"{limits.get('max_epochs') or 1000} epochs"


@contextmanager
def _silent() -> Iterator[None]:
    """Let the training say what is to be said of the data."""
    messages = logging.getLogger("datamodules")
    before = messages.level
    messages.setLevel(logging.ERROR)
    try:
        yield
    finally:
        messages.setLevel(before)
