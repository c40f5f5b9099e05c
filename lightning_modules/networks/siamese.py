"""What tells an encoder of two views of the same frame that they belong together; the losses are lightly's."""

from __future__ import annotations

import copy
from abc import abstractmethod
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from backdrop.errors import RunError


class Objective(nn.Module):
    """A loss of two views of the same frames."""

    @abstractmethod
    def forward(self, backbone: nn.Module, first: Tensor, second: Tensor) -> Tensor:
        """The loss.

        Args:
            backbone: The encoder, (B, 3, h, w) -> (B, width).
            first: A view of each frame, (B, 3, h, w).
            second: Another one.

        Returns:
            Scalar.
        """


class Banked(Objective):
    """Its negatives are features of former batches, in a bank.

    Args:
        features: Length of a feature.
        temperature: Of the softmax over the positive and the negatives.
        bank: Number of features in the bank.
    """

    def __init__(self, features: int, temperature: float, bank: int) -> None:
        super().__init__()
        self.contrast: nn.Module = lightly().loss.NTXentLoss(temperature, memory_bank_size=(bank, features))

    def bank(self) -> dict[str, Tensor]:
        """The bank and where it goes on, which lightly does not keep in a state dict."""
        memory: Any = self.contrast.memory_bank
        return {"bank": memory.bank, "bank_ptr": memory.bank_ptr}


class Npid(Banked):
    """Instance discrimination with a memory bank, after Wu et al. 2018.

    Every frame is a class of its own. Wu et al. keep a slot for each frame, with the mean of its former features, and
    compare a view with it. Here the bank is a queue of the last features, as lightly has it, and the positive is
    another view of the same frame in the same batch. Where the bank is as large as the data or larger, the queue holds
    the frame's own former features too, and they count as another's.

    Args:
        width: Length of what the encoder gives.
        features: See :class:`Banked`, as for the next two.
        temperature: Of the softmax.
        bank: Number of features in the bank.
    """

    def __init__(self, width: int, features: int, temperature: float, bank: int) -> None:
        super().__init__(features, temperature, bank)
        self.head = nn.Linear(width, features)

    def forward(self, backbone: nn.Module, first: Tensor, second: Tensor) -> Tensor:
        """See :meth:`Objective.forward`."""
        with torch.no_grad():
            key = self.head(backbone(second))
        loss: Tensor = self.contrast(self.head(backbone(first)), key)
        return loss


class Moco(Banked):
    """Momentum contrast (He et al. 2020): the bank is filled by a slow copy of the encoder, with a head of two layers.

    Args:
        backbone: The encoder.
        width: Length of what it gives.
        features: See :class:`Banked`, as for the next two.
        temperature: Of the softmax.
        bank: Number of features in the bank.
        momentum: Share of itself that the slow copy keeps in a step.
    """

    def __init__(
        self, backbone: nn.Module, width: int, features: int, temperature: float, bank: int, momentum: float
    ) -> None:
        super().__init__(features, temperature, bank)
        self.head: nn.Module = lightly().models.modules.MoCoProjectionHead(width, width, features)
        self.momentum = momentum
        self.momentum_backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.momentum_head = copy.deepcopy(self.head).requires_grad_(False)

    def forward(self, backbone: nn.Module, first: Tensor, second: Tensor) -> Tensor:
        """See :meth:`Objective.forward`; in training the slow copy follows first."""
        if self.training:
            follow = lightly().models.utils.update_momentum
            follow(backbone, self.momentum_backbone, self.momentum)
            follow(self.head, self.momentum_head, self.momentum)
        with torch.no_grad():
            key = self.momentum_head(self.momentum_backbone(second))
        loss: Tensor = self.contrast(self.head(backbone(first)), key)
        return loss


class SimSiam(Objective):
    """SimSiam (Chen and He 2021): one view predicts the other; nothing is negative.

    Args:
        width: Length of what the encoder gives.
        features: Length of the projection.
    """

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        heads = lightly().models.modules
        self.projection: nn.Module = heads.SimSiamProjectionHead(width, width, features)
        self.prediction: nn.Module = heads.SimSiamPredictionHead(features, max(1, features // 4), features)
        self.distance: nn.Module = lightly().loss.NegativeCosineSimilarity()

    def forward(self, backbone: nn.Module, first: Tensor, second: Tensor) -> Tensor:
        """See :meth:`Objective.forward`; in [-1, 1]."""
        one, other = (self.projection(backbone(view)) for view in (first, second))
        there = self.distance(self.prediction(one), other.detach())
        back = self.distance(self.prediction(other), one.detach())
        return torch.as_tensor((there + back) / 2)


def lightly() -> Any:  # noqa: ANN401  an extra, which the type checker does not look at
    """The library, with its losses and heads.

    Raises:
        RunError: If it is not installed.
    """
    if find_spec("lightly") is None:
        raise RunError("The encoder is trained with the library lightly, which is not installed: pip install lightly.")
    import lightly.loss
    import lightly.models.modules
    import lightly.models.utils

    return lightly
