"""Estimators of an expectation over the detector's cells: which cells are drawn, and how they weigh (Sec. 3.1)."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from backdrop.ranges import at_least, positive, require, within


@dataclass(frozen=True)
class Samples:
    """Drawn cells and their weights: Eq. (4).

    Attributes:
        cell: (B, K), int64.
        weight: ``p(c) / (K q(c))`` of each (1 / K of :class:`Gumbel`), differentiable in ``p`` alone, (B, K).
        leave_one_out: Subtract from each value the mean of the others before weighting.
    """

    cell: Tensor
    weight: Tensor
    leave_one_out: bool = False

    def expectation(self, value: Tensor, differentiable: bool = True) -> Tensor:
        """Estimate ``E_{c~p}[value(c)]``, Eq. (4), without bias in value and gradient; of ``Gumbel`` the value alone.

        Args:
            value: The quantity at each drawn cell, (B, K).
            differentiable: Whether the result carries a gradient in ``p``; that in ``value`` it always carries.

        Returns:
            (B,).

        Raises:
            ValueError: If ``value`` has another shape than ``cell``.
        """
        if value.shape != self.cell.shape:
            raise ValueError(f"value has shape {tuple(value.shape)}; expected {tuple(self.cell.shape)}, one per cell.")
        weight = self.weight if differentiable else self.weight.detach()
        if not self.leave_one_out:
            return (weight * value).sum(dim=1)
        fixed = value.detach()
        others = (fixed.sum(dim=1, keepdim=True) - fixed) / (value.shape[1] - 1)
        return (weight * (value - others)).sum(dim=1) + others.mean(dim=1)


@dataclass(frozen=True)
class Estimator(metaclass=ABCMeta):
    """Draws cells, so that :meth:`Samples.expectation` estimates ``E_{c~p}``. A new estimator is a subclass."""

    @abstractmethod
    def draw(self, probability: Tensor, live: Tensor, generator: Generator | None = None) -> Samples:
        """Draw cells.

        Args:
            probability: ``p``, (B, cells), sums to 1, 0 on cells that are not live.
            live: Which cells may be drawn, (cells,), bool.
            generator: Source of randomness on the device of ``probability``; the global one if not given.
        """

    def require_cells(self, count: int) -> None:  # noqa: B027  most fit any number
        """Refuse settings that do not fit a number of live cells.

        Args:
            count: How many cells may be drawn, C.

        Raises:
            ValueError: If a setting is out of the range that C allows.
        """


@dataclass(frozen=True)
class Exact(Estimator):
    """Take every live cell with weight ``p``: the sum of Eq. (3), without variance."""

    def draw(self, probability: Tensor, live: Tensor, generator: Generator | None = None) -> Samples:
        """See :meth:`Estimator.draw`; nothing is random."""
        cell = live.nonzero().flatten().expand(len(probability), -1)
        return Samples(cell, probability.gather(1, cell))


@dataclass(frozen=True)
class Uniform(Estimator):
    """Draw from all live cells alike (Fig. 3a).

    Args:
        samples: Draws per frame, K.
    """

    samples: int = 1

    def __post_init__(self) -> None:
        """Check the range."""
        at_least(1, self, samples=self.samples)

    def draw(self, probability: Tensor, live: Tensor, generator: Generator | None = None) -> Samples:
        """See :meth:`Estimator.draw`."""
        return _weighted(probability, (live / live.sum()).expand_as(probability), self.samples, generator)


@dataclass(frozen=True)
class Importance(Estimator):
    """Draw from Eq. (5) and weigh by Eq. (4): the paper's importance sampling.

    Args:
        samples: Draws per frame, K.
        epsilon: Floor of the sampling distribution; the paper's 0.001 gives 6.4 % random cells of 64.
    """

    samples: int = 1
    epsilon: float = 0.001

    def __post_init__(self) -> None:
        """Check the ranges."""
        at_least(1, self, samples=self.samples)
        within(0, 1, self, epsilon=self.epsilon)

    def require_cells(self, count: int) -> None:
        """See :meth:`Estimator.require_cells`."""
        expected = f"0 to 1/{count}, one over the number of live cells"
        require(self, self.epsilon * count <= 1, "epsilon", self.epsilon, expected)

    def draw(self, probability: Tensor, live: Tensor, generator: Generator | None = None) -> Samples:
        """See :meth:`Estimator.draw`."""
        q = sampling_distribution(probability, live, self.epsilon)
        return _weighted(probability, q, self.samples, generator)


@dataclass(frozen=True)
class LeaveOneOut(Importance):
    """Importance sampling in which the mean of the other draws is each draw's control variate.

    Args:
        samples: Draws per frame, K; at least 2.
        epsilon: As of :class:`Importance`.
    """

    samples: int = 2

    def __post_init__(self) -> None:
        """Check the ranges."""
        at_least(2, self, samples=self.samples)
        super().__post_init__()

    def draw(self, probability: Tensor, live: Tensor, generator: Generator | None = None) -> Samples:
        """See :meth:`Estimator.draw`."""
        drawn = super().draw(probability, live, generator)
        return Samples(drawn.cell, drawn.weight, leave_one_out=True)


@dataclass(frozen=True)
class Gumbel(Estimator):
    """Gumbel-softmax, straight through (A.7): draw from ``p`` by perturbing it.

    The gradient is that of the softmax of the perturbed cells, straight through the choice, at the chosen cell. It is
    biased: what the other cells are worth is not known. Of K >= 2 draws the mean of the others stands for it, as else
    the likelier cell would gain whatever it shows.

    Args:
        samples: Draws per frame, K.
        temperature: Of the softmax; the paper shows 0.1, 0.5 and 1.
    """

    samples: int = 1
    temperature: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        at_least(1, self, samples=self.samples)
        positive(self, temperature=self.temperature)

    def draw(self, probability: Tensor, live: Tensor, generator: Generator | None = None) -> Samples:
        """See :meth:`Estimator.draw`; :func:`torch.nn.functional.gumbel_softmax` takes no generator."""
        tiny = torch.finfo(probability.dtype).tiny
        logits = probability.clamp(min=tiny).log().masked_fill(~live, -torch.inf)[:, None].repeat(1, self.samples, 1)
        noise = -torch.empty_like(logits).exponential_(generator=generator).clamp(min=tiny).log()  # (B, K, cells)
        soft = ((logits + noise) / self.temperature).softmax(dim=2)
        cell = soft.argmax(dim=2)
        chosen = soft.gather(2, cell[..., None]).squeeze(2)
        return Samples(cell, (1 + chosen - chosen.detach()) / self.samples, leave_one_out=self.samples > 1)


def sampling_distribution(probability: Tensor, live: Tensor, epsilon: float = 0.001) -> Tensor:
    """Eq. (5): ``q(c) = p(c) (1 - C eps) + eps`` over the ``C`` live cells, a constant.

    Args:
        probability: (B, cells), 0 on cells that are not live.
        live: Which cells may be drawn, (cells,), bool.
        epsilon: Floor of every live cell, in [0, 1 / C].

    Returns:
        (B, cells), sums to 1, no gradient.
    """
    return probability.detach() * (1 - int(live.sum()) * epsilon) + epsilon * live


def _weighted(probability: Tensor, q: Tensor, count: int, generator: Generator | None) -> Samples:
    """Draws from ``q``, weighed by ``p / (K q)``."""
    cell = torch.multinomial(q, count, replacement=True, generator=generator)
    return Samples(cell, probability.gather(1, cell) / (q.gather(1, cell) * count))
