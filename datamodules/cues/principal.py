"""Principal components of vectors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from backdrop.stops import may_stop

_LEAST = 1e-8  # variance


class Basis(NamedTuple):
    """Principal components.

    Attributes:
        mean: (channels,).
        factors: (channels, components), in units in which the first component has a variance of 1.
    """

    mean: Tensor
    factors: Tensor

    def reduced(self, maps: Tensor) -> Tensor:
        """The components of maps, (channels, h, w) -> (components, h, w)."""
        return torch.einsum("chw,cd->dhw", maps - self.mean[:, None, None], self.factors)


def learnt(vectors: Tensor, components: int) -> Basis:
    """The principal components of some vectors.

    Args:
        vectors: (N, channels).
        components: How many to keep.

    Returns:
        Them; as many as there are channels at most.
    """
    may_stop()
    mean = vectors.mean(dim=0)
    centred = vectors - mean
    spread = centred.T @ centred / len(vectors)
    values, found = torch.linalg.eigh(spread + _LEAST * torch.eye(len(spread)))  # blank frames have no spread
    return Basis(mean, found.flip(1)[:, :components] / values[-1].sqrt())
