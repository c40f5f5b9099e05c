"""A baseline behind the test step of a LightningModule, so that the same data modules and metrics serve it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytorch_lightning as pl
import torch

from backdrop.contracts import Batch, StepOutput
from experiments.baselines.clip_frames import ClipFrames
from experiments.baselines.method import Baseline, Prediction
from experiments.results.timing import Stopwatch


class BaselineModule(pl.LightningModule):
    """Answers test batches with the predictions of a baseline, clip by clip.

    The batches only say which frames are asked for; the baseline reads them, and those around them, by itself.

    Args:
        baseline: The method.
        clips: The clips of the test split, each wanted frame in the order in which the batches bring it.

    Attributes:
        watch: What the predictions have taken, reading of frames included, and what lies between them where a method
            runs over the whole clip.
    """

    def __init__(self, baseline: Baseline, clips: Sequence[ClipFrames]) -> None:
        super().__init__()
        self.baseline = baseline
        self.network = baseline.network  # registered, so that the trainer moves it to its device
        self.clips = {clip.name: clip for clip in clips}
        self.watch = Stopwatch()
        self._open: str | None = None
        self._predictions: Iterator[tuple[int, Prediction]] = iter(())

    def test_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """``mask`` (B, 1, h, w), ``box`` (B, 4) and ``confidence`` (B,) of the frames of a batch.

        And ``background`` (B, 3, h, w), where the method makes one.
        """
        found = [self._predict(clip, index) for clip, index in zip(batch["clip"], batch["index"].tolist(), strict=True)]
        device = batch["image"].device
        shown = [one.background for one in found if one.background is not None]
        answer: StepOutput = {
            "mask": torch.from_numpy(np.stack([one.mask for one in found])[:, None]).to(device),
            "box": torch.tensor([one.box for one in found], dtype=torch.float32, device=device),
            "confidence": torch.tensor([one.confidence for one in found], dtype=torch.float32, device=device),
        }
        if shown:  # of all frames or of none
            pictures = torch.from_numpy(np.stack(shown)).to(device)
            answer["background"] = pictures.permute(0, 3, 1, 2).float().div(255)
        return answer

    def _predict(self, clip: str, index: int) -> Prediction:
        """The prediction of the next frame.

        Raises:
            RuntimeError: If the frames come in another order.
        """
        frames = self.clips[clip]
        with self.watch.one_more():
            if clip != self._open:
                cv2.setRNGSeed(0)  # some of OpenCV's methods draw lots
                predictions = self.baseline.predict(frames, frames.wanted)
                self._open, self._predictions = clip, zip(map(frames.number, frames.wanted), predictions, strict=True)
            number, prediction = next(self._predictions, (None, None))
        if prediction is None or number != index:
            raise RuntimeError(f"Frame {index} of clip '{clip}' is out of turn: give the test frames in order.")
        return prediction
