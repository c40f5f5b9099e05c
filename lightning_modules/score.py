"""How sure it is that what was found is a subject, and well cut: a score from one image (beyond the paper).

It is calibrated once the networks are trained, without a label, on frames of the training and on frames that show no
subject. It has no part in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from lightning_modules.networks import Proposals

SIGNALS = ("certainty", "agreement", "likeness")
"""What tells a subject from none, and a good mask from a bad one: the larger, the better. See :func:`observed`, and for
the last one :meth:`Score.signals`."""

SURE = 0.9
"""Score of the median of the frames held out; the least of those that count as found has .5 (backdrop.found.LIMIT)."""

FOUND = 0.95
"""Share of the frames held out that count as found."""

_RIDGE = 0.01  # pull of all weights to 0, the signals standardised, beside a mean over frames
_STEPS = 20  # of Newton's method, which needs about eight
_SHRUNK = 0.1  # share of the mean variance in that of every direction of the features: frames are few
_LEAST = 1e-3  # of a spread or an overlap
_FAR = 8.0  # deviations: farther from the frames of the training is all the same


class Observed(NamedTuple):
    """What the networks do with some frames, as far as the score looks at it.

    Attributes:
        certainty: How certain the mask is of its pixels: its mean, weighted by itself, (B,), in [0, 1].
        agreement: Mean overlap of the boxes of all cells, by ``p``, with the most probable one, (B,), in [0, 1].
        features: What ``D`` sees where it looks: the features of all cells, averaged by ``p``, (B, F).
    """

    certainty: Tensor
    agreement: Tensor
    features: Tensor

    @property
    def frames(self) -> int:
        """How many frames, B."""
        return len(self.certainty)

    def rows(self, chosen: Tensor) -> Observed:
        """Some of the frames, by their places or a mask, (B,)."""
        return Observed(*(value[chosen] for value in self))

    @classmethod
    def joined(cls, parts: list[Observed]) -> Observed:
        """The frames of several."""
        return cls(*(torch.cat(values) for values in zip(*parts, strict=True)))


def observed(proposals: Proposals, box: Tensor, window_mask: Tensor) -> Observed:
    """Look at what the networks do.

    Args:
        proposals: What ``D`` says of the frames.
        box: The most probable boxes, (B, 4).
        window_mask: The masks in them, (B, 1, h, w) in [0, 1].

    Returns:
        float32, without gradient.
    """
    probability, mask = proposals.probability.detach().float(), window_mask.detach().float().flatten(1)
    certainty = mask.square().sum(dim=1) / (mask.sum(dim=1) + 1)  # of an empty mask 0
    agreement = (probability * _overlaps(proposals.box.detach().float(), box.detach().float()[:, None])).sum(dim=1)
    weight = probability.unflatten(1, proposals.grid)[:, None]
    return Observed(certainty, agreement, (proposals.features.detach().float() * weight).sum(dim=(2, 3)))


class Score(nn.Module):
    """The score: the overlap of mask and subject that is to be expected, 0 where there is no subject.

    It is the product of two regressions on the :data:`SIGNALS`: a logistic one tells frames of the training from frames
    without a subject, a linear one tells the overlap of the masks with the training's targets. What comes out is
    stretched so that of the frames held out 95 % have .5 or more, and half have .9 or more.

    Attributes:
        features: Of :class:`Observed`, F.

    Args:
        features: See there.
    """

    mean: Tensor  # (F,) of the features of the frames
    whitening: Tensor  # (F, F): their distances from it, in deviations
    centre: Tensor  # (S,) of the signals
    spread: Tensor  # (S,)
    found: Tensor  # (S + 1,): weights of the logistic regression, and what is added
    overlap: Tensor  # (S + 1,): those of the linear one
    stretch: Tensor  # (2,): logarithm of the product at .5, and by what its distance from there is multiplied

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        shapes = {"mean": (features,), "whitening": (features, features), "centre": (len(SIGNALS),)}
        shapes |= {"spread": (len(SIGNALS),), "found": (len(SIGNALS) + 1,), "overlap": (len(SIGNALS) + 1,)}
        for name, shape in {**shapes, "stretch": (2,)}.items():
            self.register_buffer(name, torch.zeros(shape))

    @classmethod
    def shaped(cls, state: Mapping[str, Tensor]) -> Self:
        """One that can hold a saved state.

        Args:
            state: What ``state_dict`` has returned.
        """
        return cls(len(state["mean"]))

    def signals(self, seen: Observed) -> Tensor:
        """The :data:`SIGNALS` of some frames, (B, S).

        The likeness is the logarithm of the distance of the features from those of the training, with the sign changed.
        """
        away = ((seen.features - self.mean) @ self.whitening).square().mean(dim=1)
        return torch.stack([seen.certainty, seen.agreement, -(away + _LEAST).log() / 2], dim=1)

    def product(self, seen: Observed) -> Tensor:
        """Logarithm of the expected overlap, before it is stretched, (B,)."""
        signals = self._standardised(self.signals(seen))
        found = signals @ self.found[:-1] + self.found[-1]
        overlap = (signals @ self.overlap[:-1] + self.overlap[-1]).clamp(_LEAST, 1.0)
        return nn.functional.logsigmoid(found) + overlap.log()

    def _standardised(self, signals: Tensor) -> Tensor:
        return ((signals - self.centre) / self.spread).clamp(-_FAR, _FAR)

    def forward(self, seen: Observed) -> Tensor:
        """The score, (B,), in [0, 1]."""
        return ((self.product(seen) - self.stretch[0]) * self.stretch[1]).sigmoid()


@torch.no_grad()
def calibrated(own: Observed, overlap: Tensor, trust: Tensor, empty: Observed, held_out: Observed) -> Score:
    """Calibrate a score.

    Args:
        own: Frames of the training, N.
        overlap: Intersection over union of their masks with their targets, (N,), in [0, 1].
        trust: How far to trust these targets, (N,), in [0, 1].
        empty: Frames without a subject.
        held_out: Frames with the subject that are not in ``own``, at least one.

    Returns:
        The score.
    """
    score = Score(own.features.shape[1])
    score.mean = own.features.mean(dim=0)
    score.whitening = _whitening(own.features - score.mean)
    mine, others = score.signals(own), score.signals(empty)
    score.centre, score.spread = mine.mean(dim=0), mine.std(dim=0) + _LEAST
    signals = score._standardised(torch.cat([mine, others]))
    truth = (torch.arange(len(signals)) < len(mine)).to(signals)
    weight = truth / len(mine) + (1 - truth) / max(len(others), 1)
    score.found = _logistic(signals, truth, weight / weight.sum())
    score.overlap = _linear(signals[: len(mine)], overlap, trust / trust.sum().clamp_min(_LEAST))
    product = score.product(held_out).sort().values
    least = product[int((1 - FOUND) * len(product))]
    beyond = (product.median() - least).clamp_min(_LEAST)
    score.stretch = torch.stack([least, torch.tensor(SURE).logit() / beyond])
    return score


def _overlaps(box: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of boxes (cx, cy, sx, sy), (..., 4) each -> (...)."""
    low = torch.maximum(box[..., :2] - box[..., 2:], other[..., :2] - other[..., 2:])
    high = torch.minimum(box[..., :2] + box[..., 2:], other[..., :2] + other[..., 2:])
    shared = (high - low).clamp_min(0).prod(dim=-1)
    whole = 4 * (box[..., 2:].prod(dim=-1) + other[..., 2:].prod(dim=-1)) - shared
    overlap: Tensor = shared / whole
    return overlap


def _whitening(away: Tensor) -> Tensor:
    """What makes distances from a mean into deviations, their covariance shrunk to a multiple of the identity."""
    covariance = away.T @ away / max(len(away) - 1, 1)
    identity = torch.eye(len(covariance), dtype=away.dtype)
    variance = covariance.diagonal().mean().clamp_min(_LEAST**2)
    values, vectors = torch.linalg.eigh((1 - _SHRUNK) * covariance + _SHRUNK * variance * identity)
    whitening: Tensor = vectors * values.clamp_min(_SHRUNK / 2 * variance).rsqrt()
    return whitening


def _logistic(signals: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weights of a logistic regression by Newton's method, and what is added, (S + 1,)."""
    rows, pull = _with_one(signals)
    found = torch.zeros(rows.shape[1], dtype=torch.float64)
    truth, weight = truth.double(), weight.double()
    for _ in range(_STEPS):
        share = (rows @ found).sigmoid()
        slope = rows.T @ (weight * (share - truth)) + pull @ found
        curve = rows.T @ (rows * (weight * share * (1 - share))[:, None]) + pull
        found = found - torch.linalg.solve(curve, slope)
    return found.float()


def _linear(signals: Tensor, value: Tensor, weight: Tensor) -> Tensor:
    """Weights of a linear regression, and what is added, (S + 1,)."""
    rows, pull = _with_one(signals)
    weighted = rows.T * weight.double()
    found: Tensor = torch.linalg.solve(weighted @ rows + pull, weighted @ value.double())
    return found.float()


def _with_one(signals: Tensor) -> tuple[Tensor, Tensor]:
    """The signals and a one, (N, S + 1), float64; and the pull of their weights to 0, a diagonal matrix."""
    rows = torch.cat([signals, torch.ones_like(signals[:, :1])], dim=1).double()
    pull = torch.full((rows.shape[1],), _RIDGE, dtype=torch.float64)
    pull[-1] = 1e-9
    return rows, pull.diag()
