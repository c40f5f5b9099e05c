"""Does an exported file say the same as the run: a comparison on frames of the run's own data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl

from backdrop.errors import RunError
from backdrop.found import Engine, Pixels
from datamodules import FramesDataModule
from datamodules.clips.clip import Clip

BOUNDS = {"mask": 0.05, "box": 0.005, "confidence": 0.01, "score": 0.02}
"""Largest differences that are let pass; of the box it is the median over the frames, as a share of the longer side.

A box is as wide as its mask at 0.5: where a pixel of the mask lies at 0.5, rounding moves a side by several pixels.
"""
_SEARCHED = 300  # frames of a clip among which those that are compared are spread
_BATCH = 4


@dataclass(frozen=True)
class Differences:
    """Largest differences between a file and PyTorch.

    Attributes:
        frames: How many frames were compared.
        mask: Of a pixel's mask.
        box: Of a corner, in pixels.
        usual: Of a box, the median over the frames, as a share of the frame's longer side.
        confidence: Of the confidence.
        score: Of the score; None where there is none.
    """

    frames: int
    mask: float
    box: float
    usual: float
    confidence: float
    score: float | None

    def __str__(self) -> str:
        """In words."""
        score = "" if self.score is None else f", score {self.score:.2g}"
        return f"mask {self.mask:.2g}, box {self.box:.2g} pixels, confidence {self.confidence:.2g}{score}"

    def require(self) -> None:
        """Refuse a file that differs.

        Raises:
            RunError: If a difference is above its bound.
        """
        found = {"mask": self.mask, "box": self.usual, "confidence": self.confidence, "score": self.score or 0.0}
        wrong = [name for name, bound in BOUNDS.items() if not found[name] <= bound]  # NaN is wrong too
        if wrong:
            raise RunError(
                f"The exported model differs from the run's in {' and '.join(wrong)} ({self}): no file was written. "
                "Please report it, with the versions of torch and onnxruntime."
            )


def compare(engine: Engine, run: Engine, images: Sequence[Pixels]) -> Differences:
    """Compare two engines of one model.

    Args:
        engine: That of the file.
        run: That of PyTorch.
        images: Frames, RGB, (H, W, 3) each; one at least.
    """
    found: dict[str, list[float]] = {name: [] for name in ("mask", "box", "relative", "confidence", "score")}
    for begin in range(0, len(images), _BATCH):
        part = images[begin : begin + _BATCH]
        for image, (one,), (other,) in zip(part, engine(part), run(part), strict=True):
            found["mask"].append(float(np.abs(one.mask - other.mask).max()))
            found["box"].append(float(np.abs(np.subtract(one.box, other.box)).max()))
            found["relative"].append(found["box"][-1] / max(image.shape[:2]))
            found["confidence"].append(abs(one.confidence - other.confidence))
            if one.score is not None and other.score is not None:
                found["score"].append(abs(one.score - other.score))
    return Differences(
        frames=len(images),
        mask=float(np.max(found["mask"])),
        box=float(np.max(found["box"])),
        usual=float(np.median(found["relative"])),
        confidence=float(np.max(found["confidence"])),
        score=float(np.max(found["score"])) if found["score"] else None,
    )


def own_frames(data: pl.LightningDataModule, count: int) -> list[Pixels]:
    """Frames of the run's own data at their full size, spread over its test clips, else those of training.

    Args:
        data: The data module of the run.
        count: How many frames.

    Returns:
        At most so many; none where the data are not there any more.
    """
    if not isinstance(data, FramesDataModule):
        return []
    try:
        clips = data.listed_clips("test") or data.listed_clips("train")
        share = -(-count // max(1, len(clips)))
        return [image for clip in clips[:count] for image in _spread(clip, share)][:count]
    except (FileNotFoundError, ValueError):
        return []


def _spread(clip: Clip, count: int) -> list[Pixels]:
    """Some frames of a clip."""
    wanted = set(np.linspace(0, min(len(clip.source), _SEARCHED) - 1, count).round().astype(int).tolist())
    return [image for _, image in clip.source.frames(keep=lambda position, _: position in wanted)]


def generated_frames(count: int) -> list[Pixels]:
    """Frames of coloured noise of several sizes, where there are no others."""
    draw, sizes = np.random.default_rng(0), ((480, 854), (270, 480), (96, 128), (720, 405))
    frames = []
    for number in range(count):
        height, width = sizes[number % len(sizes)]
        coarse = draw.integers(0, 256, (-(-height // 24), -(-width // 24), 3), dtype=np.uint8)
        frames.append(np.ascontiguousarray(coarse.repeat(24, axis=0).repeat(24, axis=1)[:height, :width]))
    return frames
