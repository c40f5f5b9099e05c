"""What every baseline is: frames of a clip in, one soft mask, box and confidence for each wanted frame out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from backdrop.boxes import from_corners
from backdrop.errors import RunError
from datamodules.readers import Pixels
from experiments.baselines.lesson import Lesson

Frames = Sequence[Pixels]
"""The frames of one clip in order, RGB, uint8, (H, W, 3), all of one size; read when they are asked for."""

Soft = NDArray[np.float32]
"""(H, W), in [0, 1]; 0.5 is the fixed operating point, which no label has chosen."""

THRESHOLD = 0.5

BLUR = 0.006
"""Standard deviation of the neighbourhood in which evidence is gathered, over the frame's height."""


@dataclass(frozen=True)
class Prediction:
    """What a baseline says of one frame.

    Attributes:
        mask: Soft mask, float32, (H, W), in [0, 1].
        box: (cx, cy, sx, sy), centre and half-extent in [-1, 1], x right, y down, ±1 on the outer pixel edges; zeros
            where nothing was found.
        confidence: In [0, 1].
        background: The frame without the subject, uint8, (H, W, 3), where the method makes one: for the picture sheet.
    """

    mask: Soft
    box: tuple[float, float, float, float]
    confidence: float
    background: Pixels | None = None


class Baseline(ABC):
    """A method that is compared with ours.

    Attributes:
        whole_clips: Whether it looks at all frames of a clip; the others see the wanted frames only.
        labels: What labels it has learnt from, in words.
        learns: Whether it learns from unlabelled frames before it predicts, see :meth:`learn`.
        network: What has to be on the device that computes; None where there is nothing.
    """

    whole_clips: ClassVar[bool] = True
    labels: ClassVar[str] = "none in training"
    learns: ClassVar[bool] = False
    network: nn.Module | None = None

    def learn(self, lesson: Lesson) -> None:  # noqa: B027  (most have nothing to learn)
        """Learn from the unlabelled frames to train on; called once, before any prediction, where it :attr:`learns`.

        Args:
            lesson: The frames, and where to keep what has been learnt.
        """

    @abstractmethod
    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """Predict some frames of a clip.

        Args:
            frames: All frames of the clip.
            wanted: Positions of those to predict, ascending.

        Yields:
            One prediction for each wanted frame, in order; memory does not grow with the length of the clip.
        """


def require(least: float, **settings: float) -> None:
    """Refuse settings that are too small.

    Args:
        least: The smallest that makes sense.
        **settings: By name.

    Raises:
        RunError: If one is smaller.
    """
    for name, value in settings.items():
        if not value >= least:
            raise RunError(f"{name} is {value}: give {least:g} or more.")


def from_mask(mask: Soft) -> Prediction:
    """The box of a mask: the tight one of its largest connected part at 0.5 (as Zhou et al. 2016 take it).

    Its confidence is the mean of the soft mask over that part.

    Args:
        mask: Soft mask, (H, W).
    """
    _, parts, about, _ = cv2.connectedComponentsWithStats((mask >= THRESHOLD).astype(np.uint8))
    if len(about) < 2:
        return Prediction(mask, (0.0, 0.0, 0.0, 0.0), 0.0)
    largest = 1 + int(about[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height = about[largest, :4].tolist()
    box = from_corners((left, top, left + width, top + height), mask.shape)
    return Prediction(mask, box, float(mask[parts == largest].mean()))


def normalised(evidence: NDArray[np.float32], times: float, least: float) -> Soft:
    """Evidence e of a subject as a soft mask, e / (e + level): 0.5 where e is at the level.

    The level is a multiple of the frame's median, which belongs to the background as long as the subject fills less
    than half of the frame, but never below what noise alone makes.

    Args:
        evidence: Not negative, (H, W).
        times: Level over the median.
        least: Smallest level, in the unit of the evidence, positive.
    """
    level = max(times * float(np.median(evidence)), least)
    return np.asarray(evidence / (evidence + level), dtype=np.float32)


def smoothed(values: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Gaussian blur whose standard deviation is a share of the frame's height.

    Args:
        values: (H, W) or (H, W, C).
        share: Standard deviation over the height.
    """
    return np.asarray(cv2.GaussianBlur(values, (0, 0), max(0.5, share * len(values))), dtype=np.float32)
