"""What looks like the subject in the features of a network: a linear discriminant of the clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.cues.camera import BORDER, near_border
from datamodules.cues.motion import Plane
from datamodules.cues.patches import Features

_RIDGE = 0.05  # of the mean variance
_LIMIT = 3.0
_LEAST = 1e-3  # probability of the subject inside, so that the discriminant is defined where nothing moves

SETTINGS = f"discriminant {_RIDGE} {BORDER} {_LIMIT} {_LEAST}"
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
    border = near_border(features[0].shape[:2])
    channels = features[0].shape[2]
    weight, total, square = np.zeros(2), np.zeros((2, channels)), np.zeros((2, channels, channels))
    for frame, plane in zip(features, subject, strict=True):
        inside = np.where(border, 0, np.maximum(plane, _LEAST)).ravel().astype(np.float32)
        pixels, shares = frame.reshape(len(inside), -1), np.stack([inside, 1 - inside])
        weight += shares.sum(axis=1)
        total += shares @ pixels
        square += np.stack([(pixels * share[:, None]).T @ pixels for share in shares])
    means: NDArray[np.float64] = total / weight[:, None]
    spread = np.mean(square / weight[:, None, None] - means[:, :, None] * means[:, None], axis=0)
    spread += (_RIDGE * np.trace(spread) / len(spread) + 1e-6) * np.eye(len(spread))  # a blank clip has no spread
    factors = np.linalg.solve(spread, means[0] - means[1])
    constant, prior = np.float32(-factors @ means.mean(axis=0)), float(np.log(weight[0] / weight[1]))
    return Judged([frame @ factors.astype(np.float32) + constant for frame in features], prior)
