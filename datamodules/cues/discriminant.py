"""What looks like the subject in the features of a network: a linear discriminant of the clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backdrop.stops import may_stop
from datamodules.cues.camera import BORDER, near_border
from datamodules.cues.motion import Plane
from datamodules.cues.patches import Features

_RIDGE = 0.05  # of the mean variance
_LIMIT = 3.0
_LEAST = 1e-3  # probability of the subject inside, so that the discriminant is defined where nothing moves

SETTINGS = f"discriminant of both {_RIDGE} {BORDER} {_LIMIT} {_LEAST}"
"""Part of the identity of what is stored."""


class Judged(NamedTuple):
    """What the features say of the frames of a clip.

    Attributes:
        log_odds: That a pixel is the subject, (h, w) of each frame; both classes are equally likely.
        prior: Log-odds of the subject's share of the clip, to be added.
    """

    log_odds: list[Plane]
    prior: float

    @property
    def whole(self) -> list[Plane]:
        """Log-odds with the prior."""
        return [one + np.float32(self.prior) for one in self.log_odds]

    def bounded(self, share: float) -> list[Plane]:
        """Log-odds with a share of the prior, in [-3, 3], so that no cue outvotes all others."""
        return [np.clip(one + np.float32(share * self.prior), -_LIMIT, _LIMIT) for one in self.log_odds]


def discriminate(features: Sequence[Features], subject: Sequence[Plane]) -> Judged:
    """Learn what the subject looks like, and judge every pixel by it.

    Fisher's linear discriminant (1936), with equal weight of both classes in the spread. Near the frame's border
    everything counts as the scene, so that what also lies there is not taken for the subject.

    Args:
        features: Of each frame, (h, w, channels), of about unit variance.
        subject: Probability that a pixel is the subject, (h, w) of each frame, in [0, 1].

    Returns:
        What they say.
    """
    border, channels = near_border(features[0].shape[:2]), features[0].shape[2]
    inside = [np.where(border, 0, np.maximum(plane, _LEAST)).ravel().astype(np.float32) for plane in subject]
    shares = [np.stack([one, 1 - one]) for one in inside]
    weight: NDArray[np.float64] = np.sum([share.sum(axis=1) for share in shares], axis=0, dtype=np.float64)
    total, square = np.zeros((2, channels)), np.zeros((channels, channels))
    for frame, share in zip(features, shares, strict=True):
        may_stop()
        pixels, counted = frame.reshape(share.shape[1], -1), (share / weight[:, None]).sum(axis=0)
        total += share @ pixels
        square += (pixels * counted.astype(np.float32)[:, None]).T @ pixels  # of both classes at once
    means: NDArray[np.float64] = total / weight[:, None]
    spread = (square - means.T @ means) / 2
    spread += (_RIDGE * np.trace(spread) / len(spread) + 1e-6) * np.eye(len(spread))  # a blank clip has no spread
    factors = np.linalg.solve(spread, means[0] - means[1])
    constant, prior = np.float32(-factors @ means.mean(axis=0)), float(np.log(weight[0] / weight[1]))
    return Judged([frame @ factors.astype(np.float32) + constant for frame in features], prior)
