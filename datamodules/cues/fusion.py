"""The cues of some frames as one: motion, colours, features, and a cut, in rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.cues.colour import REACH, Coloured, colour_log_odds
from datamodules.cues.cut import Cuttable, cut_in_windows
from datamodules.cues.discriminant import discriminate
from datamodules.cues.features import Backbone, Features
from datamodules.cues.flow import Flow
from datamodules.cues.motion import Plane
from datamodules.readers import Pixels

Mask = NDArray[np.bool_]

_LIMIT = 3.0  # of the features' log-odds

SETTINGS = f"fusion {_LIMIT}"
"""Part of the identity of what is stored."""


class Seen(NamedTuple):
    """A frame with what moves in it.

    Attributes:
        image: RGB, uint8, (H, W, 3) at the working size.
        lab: OpenCV's 8-bit CIE Lab, (h, w, 3) of the grid.
        motion: Log-odds of the subject by motion, (h, w).
        to_next: Flow to the next frame, (h, w, 2), in cells of the grid; None where there is none.
    """

    image: Pixels
    lab: Pixels
    motion: Plane
    to_next: Flow | None


class Fused(NamedTuple):
    """What all cues say of a frame.

    Attributes:
        mask: Where the subject is, (h, w).
        steps: What each step on the way would call the subject, by name, in their order; the last one is the mask.
    """

    mask: Mask
    steps: Mapping[str, Mask]


@dataclass(frozen=True)
class Fusion:
    """How cues are fused.

    Attributes:
        colour: Factor of the colours' log-odds.
        rounds: How often the features are learnt, the second time from what was cut out the first time.
        prior: Share of the prior's log-odds that counts in the last round: with all of it small subjects are lost.
    """

    colour: float = 1.2
    rounds: int = 2
    prior: float = 0.5

    def fuse(self, frames: Sequence[Seen], backbone: Backbone | None) -> list[Fused]:
        """Fuse the cues of frames that follow each other.

        Args:
            frames: At least one, all of one size.
            backbone: Gives the features; None does without.

        Returns:
            What they say of each.

        Raises:
            OSError: If the weights of the backbone cannot be had.
        """
        motion = [frame.motion for frame in frames]
        colours = self._colours(frames, motion)
        odds = [one + other for one, other in zip(motion, colours, strict=True)]
        steps = [{"motion": one > 0, "colours": both > 0} for one, both in zip(motion, odds, strict=True)]
        if backbone is None:
            masks = _cut(frames, odds)
            return [Fused(mask, {**of, "cut": mask}) for of, mask in zip(steps, masks, strict=True)]
        features, labels = backbone.features([frame.image for frame in frames]), [_sigmoid(one) for one in motion]
        for number in range(self.rounds):
            alike, whole = _judge(features, labels, self.prior if number else 1.0)
            odds = [g + k + f for g, k, f in zip(motion, colours, alike, strict=True)]
            masks = _cut(frames, odds)
            for of, mask in zip(steps, masks, strict=True):
                of[f"round {number + 1}"] = mask
            labels = [_mean_of(mask, one) for mask, one in zip(masks, motion, strict=True)]
            if number + 1 < self.rounds:
                colours = self._colours(frames, [g + f for g, f in zip(motion, whole, strict=True)])
        return [Fused(mask, of) for mask, of in zip(masks, steps, strict=True)]

    def _colours(self, frames: Sequence[Seen], odds: Sequence[Plane]) -> list[Plane]:
        """Weighted log-odds of the colours that odds have taught."""
        taught = ((None, Coloured(frame.lab, one)) for frame, one in zip(frames, odds, strict=True))
        return [np.float32(self.colour) * found for _, found in colour_log_odds(taught, REACH)]


def _judge(
    features: Sequence[Features], labels: Sequence[Plane], share: float
) -> tuple[list[Plane], list[Plane]]:
    """Log-odds of the features on the grid of the labels, with a share of the prior, and with all of it."""
    size, coarse = labels[0].shape, features[0].shape[:2]
    found = discriminate(features, [cv2.resize(one, coarse[::-1], interpolation=cv2.INTER_AREA) for one in labels])
    fine = [cv2.resize(one, size[::-1], interpolation=cv2.INTER_LINEAR) for one in found.log_odds]
    some, whole = ([np.clip(one + np.float32(p * found.prior), -_LIMIT, _LIMIT) for one in fine] for p in (share, 1.0))
    return some, whole


def _cut(frames: Sequence[Seen], odds: Sequence[Plane]) -> list[Mask]:
    pairs = zip(frames, odds, strict=True)
    return [mask for _, mask in cut_in_windows((None, Cuttable(f.lab, one, f.to_next)) for f, one in pairs)]


def _sigmoid(odds: Plane) -> Plane:
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float32)


def _mean_of(mask: Mask, odds: Plane) -> Plane:
    """The mean of a mask and a probability."""
    return np.asarray((mask + _sigmoid(odds)) / 2, dtype=np.float32)
