"""The cues of some frames as one: motion, colours, features, and a cut, in rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from backdrop.ranges import at_least, within
from datamodules.cues.camera import near_border
from datamodules.cues.colour import REACH, Coloured, colour_log_odds
from datamodules.cues.cut import Cuttable, cut_in_windows
from datamodules.cues.discriminant import Judged, discriminate
from datamodules.cues.features import Describer
from datamodules.cues.flow import Flow
from datamodules.cues.motion import Plane
from datamodules.cues.patches import Features
from datamodules.readers import Pixels

Mask = NDArray[np.bool_]

_STRENGTH = 3.5  # mean size of the log-odds that are cut, over both sides: what the links' costs are made for
_KEPT = 0.4  # share of the pixels with positive log-odds that a cut must keep; else it is made again, twice as strong
_NOTHING = 1e-3  # share of the pixels below which nothing was found
_CENTRE, _SPREAD = 0.3, 0.25  # probability of the subject in the middle of the frame, and its deviation, of the size

SETTINGS = f"fusion {_STRENGTH} {_KEPT} {_NOTHING} {_CENTRE} {_SPREAD}"
"""Part of the identity of what is stored."""


class Seen(NamedTuple):
    """A frame with what moves in it.

    Attributes:
        image: RGB, uint8, (H, W, 3) at the working size.
        lab: OpenCV's 8-bit CIE Lab, (h, w, 3) of the grid.
        motion: Log-odds of the subject by motion, (h, w).
        confirmed: The same by motion that the pictures confirm, see :mod:`datamodules.cues.confirmed`.
        to_next: Flow to the next frame, (h, w, 2), in cells of the grid; None where there is none.
    """

    image: Pixels
    lab: Pixels
    motion: Plane
    confirmed: Plane
    to_next: Flow | None


class Fused(NamedTuple):
    """What all cues say of a frame.

    Attributes:
        mask: Where the subject is, (h, w).
        trust: How far the cues agree with it, in [0, 1]: its overlap (intersection over union) with confirmed motion,
            and the geometric mean of that and its overlap with what the features call the subject, where there are
            features.
        steps: What each step on the way would call the subject, by name, in their order; the last one is the mask.
    """

    mask: Mask
    trust: float
    steps: Mapping[str, Mask]


@dataclass(frozen=True)
class Fusion:
    """How cues are fused.

    Features are learnt twice, from motion and from confirmed motion: the latter leaves out water and what else flow
    merely says to move, and the inside of a subject of one colour as well. The one whose masks the cues trust more
    counts, for all frames that are fused at once.

    Where much of the frame's border moves, although it looks like the scene, motion is not to be relied on: there is
    water, or the camera follows the subject. Motion then counts less, and by as much the middle of the frame counts.

    Attributes:
        colour: Factor of the colours' log-odds.
        rounds: How often the features are learnt, after the first time from what was cut out. Where that leaves
            nothing, the cut of motion and colours alone is taken.
        prior: Share of the prior's log-odds that counts in the cut: with all of it small subjects are lost.
        doubt: How fast motion loses its weight with the share of the border that moves against its looks.
    """

    colour: float = 1.2
    rounds: int = 2
    prior: float = 0.5
    doubt: float = 4.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        at_least(0, self, colour=self.colour, doubt=self.doubt)
        at_least(1, self, rounds=self.rounds)
        within(0, 1, self, prior=self.prior)

    def fuse(self, frames: Sequence[Seen], describer: Describer | None) -> list[Fused]:
        """Fuse the cues of frames that follow each other.

        Args:
            frames: At least one, all of one size.
            describer: Gives the features; None does without.

        Returns:
            What they say of each.

        Raises:
            OSError: If the weights of a network cannot be had.
        """
        motion = [frame.motion for frame in frames]
        odds = [one + other for one, other in zip(motion, self._colours(frames, motion), strict=True)]
        seen = zip(frames, odds, strict=True)
        steps = [{"motion": f.motion > 0, "confirmed motion": f.confirmed > 0, "colours": both > 0} for f, both in seen]
        if not any(of["motion"].any() for of in steps):  # a still picture: nothing tells the subject from the scene
            empty = np.zeros(motion[0].shape, dtype=bool)
            return [Fused(empty, 0.0, of) for of in steps]
        if describer is not None:
            features = describer.features([frame.image for frame in frames])
            ways = motion, [frame.confirmed for frame in frames]
            found = max((self._learn(frames, features, way) for way in ways), key=_mean_trust)
            steps = [{**of, **one.steps} for of, one in zip(steps, found, strict=True)]
            if np.mean([one.mask.mean() for one in found]) >= _NOTHING:
                return [one._replace(steps=of) for one, of in zip(found, steps, strict=True)]
        name = "cut" if describer is None else "without features"  # they leave nothing
        masks = _cut(frames, odds)
        pairs = zip(steps, masks, strict=True)
        return [Fused(mask, _agreement(mask, of["confirmed motion"]), {**of, name: mask}) for of, mask in pairs]

    def _learn(self, frames: Sequence[Seen], features: Sequence[Features], motion: Sequence[Plane]) -> list[Fused]:
        """Learn what the subject looks like from what moves, and cut it out, in rounds."""
        weight, labels = self._begin(features, motion)
        motion, moves = [weight * one for one in motion], [weight * _sigmoid(one) for one in motion]
        looks = judge(features, labels, motion[0].shape)
        taught = looks  # colours learn from the looks of the round before
        steps = [dict[str, Mask]() for _ in frames]
        for number in range(self.rounds):
            looks = judge(features, labels, motion[0].shape) if number else looks
            colours = self._colours(frames, [g + f for g, f in zip(motion, taught.bounded(1.0), strict=True)])
            parts = zip(motion, colours, looks.bounded(self.prior), strict=True)
            masks = _cut_strongly(frames, [g + k + f for g, k, f in parts])
            for of, mask in zip(steps, masks, strict=True):
                of[f"round {number + 1}"] = mask
            soft = [m + (1 - weight) * _sigmoid(f) for m, f in zip(moves, looks.whole, strict=True)]
            labels = [np.asarray((mask + one) / 2, np.float32) for mask, one in zip(masks, soft, strict=True)]
            taught = looks
        alike = [one > 0 for one in looks.bounded(self.prior)]
        found = zip(frames, masks, alike, steps, strict=True)
        return [Fused(mask, _agreement(mask, frame.confirmed > 0, like), of) for frame, mask, like, of in found]

    def _begin(self, features: Sequence[Features], motion: Sequence[Plane]) -> tuple[np.float32, list[Plane]]:
        """How far motion is to be relied on, in [0, 1], and the probability of the subject to begin with."""
        labels = [_sigmoid(one) for one in motion]
        looks = judge(features, labels, motion[0].shape)
        border = near_border(motion[0].shape)
        against = [((one > 0) & (f < 0))[border] for one, f in zip(motion, looks.log_odds, strict=True)]
        weight = np.float32(np.clip(1 - self.doubt * np.mean(against), 0, 1))
        centre = (1 - weight) * np.float32(_CENTRE) * _middle(motion[0].shape)
        return weight, [weight * one + centre for one in labels]

    def _colours(self, frames: Sequence[Seen], odds: Sequence[Plane]) -> list[Plane]:
        """Weighted log-odds of the colours that odds have taught."""
        taught = ((None, Coloured(frame.lab, one)) for frame, one in zip(frames, odds, strict=True))
        return [np.float32(self.colour) * found for _, found in colour_log_odds(taught, REACH)]


def judge(features: Sequence[Features], labels: Sequence[Plane], size: tuple[int, ...]) -> Judged:
    """Judge every pixel by features that are coarser than its labels.

    Args:
        features: Of each frame, (h, w, channels).
        labels: Probability of the subject, (H, W) of each frame.
        size: (H, W).

    Returns:
        What the features say, at that size.
    """
    coarse = features[0].shape[1], features[0].shape[0]
    found = discriminate(features, [cv2.resize(one, coarse, interpolation=cv2.INTER_AREA) for one in labels])
    fine = [cv2.resize(one, size[::-1], interpolation=cv2.INTER_LINEAR) for one in found.log_odds]
    return found._replace(log_odds=fine)


def _cut_strongly(frames: Sequence[Seen], odds: Sequence[Plane]) -> list[Mask]:
    """The cut of log-odds of a fixed strength; twice as strong where it leaves hardly anything of the subject."""
    scale = np.float32(_STRENGTH / max(float(np.mean([abs(one).mean() for one in odds])), 1e-6))
    for factor in (scale, 2 * scale):
        masks = _cut(frames, [factor * one for one in odds])
        kept = sum(int((mask & (one > 0)).sum()) for mask, one in zip(masks, odds, strict=True))
        if kept >= _KEPT * sum(int((one > 0).sum()) for one in odds):
            break
    return masks


def _cut(frames: Sequence[Seen], odds: Sequence[Plane]) -> list[Mask]:
    pairs = zip(frames, odds, strict=True)
    return [mask for _, mask in cut_in_windows((None, Cuttable(f.lab, one, f.to_next)) for f, one in pairs)]


def _mean_trust(found: Sequence[Fused]) -> float:
    return float(np.mean([one.trust for one in found]))


def _middle(size: tuple[int, ...]) -> Plane:
    """A bump in the middle of the frame, (h, w), 1 at its top."""
    y, x = (np.exp(-((((np.arange(length) + 0.5) / length - 0.5) / _SPREAD) ** 2) / 2) for length in size)
    return np.asarray(y[:, None] * x, dtype=np.float32)


def _sigmoid(odds: Plane) -> Plane:
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float32)


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks.

    Args:
        one: (h, w).
        other: (h, w).

    Returns:
        In [0, 1]; 1 where both are empty.
    """
    union = int((one | other).sum())
    return float((one & other).sum() / union) if union else 1.0


def _agreement(mask: Mask, *cues: Mask) -> float:
    """The geometric mean of the overlaps of a mask with cues; 0 where it is empty, which no cue can confirm."""
    return float(np.prod([overlap(mask, cue) for cue in cues]) ** (1 / len(cues))) if mask.any() else 0.0
