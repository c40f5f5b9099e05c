"""How long an answer takes: of our own model as of a baseline, the reading of the frame included."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from pytorch_lightning import LightningModule

from datamodules import FramesDataModule
from experiments.results.measures import SECONDS

_FEW = 20
"""Frames that are timed, spread evenly over the test split."""


@dataclass
class Stopwatch:
    """Adds up what answers take.

    Attributes:
        frames: How many there were.
        seconds: By the clock.
        processor_seconds: Of the processor, all threads together, which other programs do not delay.
    """

    frames: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Time one answer."""
        begin, processor = time.perf_counter(), time.process_time()
        yield
        self.frames += 1
        self.seconds += time.perf_counter() - begin
        self.processor_seconds += time.process_time() - processor

    def per_frame(self) -> dict[str, float]:
        """``seconds_per_frame`` and ``processor_seconds_per_frame``; nothing where nothing was timed."""
        if not self.frames:
            return {}
        spent = (self.seconds, self.processor_seconds)
        return {name: seconds / self.frames for name, seconds in zip(SECONDS, spent, strict=True)}


def time_inference(model: LightningModule, data: FramesDataModule) -> dict[str, float]:
    """Time a model on single images of the test split, at its working size.

    Args:
        model: The model, on the device that computes; it takes (1, 3, h, w) in [0, 1].
        data: A data module after ``setup("test")``.

    Returns:
        See :meth:`Stopwatch.per_frame`.
    """
    dataset, watch = data.dataset("test"), Stopwatch()
    places = np.linspace(0, len(dataset) - 1, min(_FEW, len(dataset))).round().astype(int).tolist()
    wait: Callable[[], None] = torch.cuda.synchronize if model.device.type == "cuda" else lambda: None

    def answer(place: int) -> None:
        image = dataset[place]["image"][None].to(model.device, torch.float32).div_(255)
        model(image)
        wait()

    with torch.inference_mode():
        answer(places[0])  # the first one also makes ready
        for place in places:
            with watch.one_more():
                answer(place)
    return watch.per_frame()
