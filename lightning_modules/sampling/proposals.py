"""Choosing proposals: estimators of an expectation over the detector's cells (Sec. 3.1, Eqs. 3 to 5)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

EstimatorName = Literal["importance", "uniform", "exact", "leave_one_out", "gumbel"]


@dataclass(frozen=True)
class Samples:
    """Drawn cells and their weights.

    Attributes:
        cell: (B, K), int64.
        weight: ``p(c) / (K q(c))`` of each (1 / K for ``gumbel``), differentiable in ``p`` alone, (B, K).
        leave_one_out: Subtract from each value the mean of the others before weighting.
    """

    cell: Tensor
    weight: Tensor
    leave_one_out: bool = False

    def expectation(self, value: Tensor, differentiable: bool = True) -> Tensor:
        """Estimate ``E_{c~p}[value(c)]`` without bias, value and gradient (Eq. 4); of ``gumbel`` the value alone.

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


def sampling_distribution(probability: Tensor, live: Tensor, epsilon: float = 0.001) -> Tensor:
    """``q(c) = p(c) (1 - C eps) + eps`` over the ``C`` live cells, a constant (Eq. 5).

    Args:
        probability: (B, cells), 0 on cells that are not live.
        live: Which cells may be drawn, (cells,), bool.
        epsilon: Floor of every live cell; the paper's 0.001 gives 6.4 % random cells of 64.

    Returns:
        (B, cells), sums to 1, no gradient.

    Raises:
        ValueError: If ``epsilon`` is not in [0, 1 / C].
    """
    count = int(live.sum())
    if not 0 <= epsilon <= 1 / count:
        raise ValueError(f"epsilon={epsilon}: expected 0 <= epsilon <= 1/{count}, one over the number of live cells.")
    return probability.detach() * (1 - count * epsilon) + epsilon * live


def sample_cells(
    probability: Tensor,
    live: Tensor,
    estimator: EstimatorName = "importance",
    count: int = 1,
    epsilon: float = 0.001,
    generator: Generator | None = None,
    temperature: float = 0.1,
) -> Samples:
    """Draw cells for an estimator of ``E_{c~p}``.

    ``importance`` is the paper's (Eqs. 4, 5); ``uniform`` draws from all live cells alike (Fig. 3a); ``exact`` takes
    every live cell with weight ``p`` (Eq. 3); ``leave_one_out`` is ``importance`` with K >= 2 draws, each with the
    mean of the others as control variate. ``gumbel`` (A.7) draws from ``p`` by perturbing it; the gradient is that of
    the softmax of the perturbed cells, straight through the choice, at the chosen cell. It is biased: what the other
    cells are worth is not known; of K >= 2 draws the mean of the others stands for it, as else the likelier cell would
    gain whatever it shows.

    Args:
        probability: (B, cells), sums to 1.
        live: Which cells may be drawn, (cells,), bool.
        estimator: Name as above.
        count: Draws per frame, K; ignored by ``exact``.
        epsilon: See :func:`sampling_distribution`.
        generator: Source of randomness on the device of ``probability``.
        temperature: Of the softmax of ``gumbel``.

    Returns:
        The draws.

    Raises:
        ValueError: If the name is unknown, the count too small or the temperature not positive.
    """
    if estimator == "exact":
        cell = live.nonzero().flatten().expand(len(probability), -1)
        return Samples(cell, probability.gather(1, cell))
    least = 2 if estimator == "leave_one_out" else 1
    if count < least:
        raise ValueError(
            f"the estimator {estimator} got {count} draws per frame and needs at least {least}: raise samples where it "
            "is the estimator of O, background_samples where it is that of G."
        )
    if estimator == "gumbel":
        return _gumbel(probability, live, count, temperature, generator)
    match estimator:
        case "uniform":
            q = (live / live.sum()).expand_as(probability)
        case "importance" | "leave_one_out":
            q = sampling_distribution(probability, live, epsilon)
        case _:
            raise ValueError(f"estimator={estimator!r}: expected importance, uniform, exact, leave_one_out or gumbel.")
    cell = torch.multinomial(q, count, replacement=True, generator=generator)
    weight = probability.gather(1, cell) / (q.gather(1, cell) * count)
    return Samples(cell, weight, leave_one_out=estimator == "leave_one_out")


def _gumbel(
    probability: Tensor, live: Tensor, count: int, temperature: float, generator: Generator | None
) -> Samples:
    """Gumbel-softmax, straight through (A.7); :func:`torch.nn.functional.gumbel_softmax` takes no generator."""
    if temperature <= 0:
        raise ValueError(f"The temperature of the estimator gumbel is {temperature}: give a positive number.")
    tiny = torch.finfo(probability.dtype).tiny
    logits = probability.clamp(min=tiny).log().masked_fill(~live, -torch.inf)[:, None].repeat(1, count, 1)
    noise = -torch.empty_like(logits).exponential_(generator=generator).clamp(min=tiny).log()  # (B, K, cells)
    soft = ((logits + noise) / temperature).softmax(dim=2)
    cell = soft.argmax(dim=2)
    chosen = soft.gather(2, cell[..., None]).squeeze(2)
    return Samples(cell, (1 + chosen - chosen.detach()) / count, leave_one_out=count > 1)
