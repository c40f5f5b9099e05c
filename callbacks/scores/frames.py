"""What scores that keep one row per frame have in common.

The mean runs over the frames of a clip first, then over clips, so a long clip weighs no more than a short one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class FrameScores(Metric):
    """What measures that keep one row per frame share: the clips' names, and the sum of several measures.

    Args:
        **kwargs: Options of :class:`torchmetrics.Metric`.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        """Know no clip."""
        super().__init__(**kwargs)
        self.names: dict[int, str] = {}

    def reset(self) -> None:
        """Forget all frames."""
        super().reset()
        self.names = {}

    def frame_state(self) -> dict[str, Any]:
        """Every frame so far: the rows of each state, on the CPU, and the clips' ``names``."""
        return {"names": dict(self.names), **{name: join(getattr(self, name)) for name in self.metric_state}}

    def merge_frames(self, state: Mapping[str, Any]) -> None:
        """Add the frames that another measure has seen, as if this one had.

        Args:
            state: What :meth:`frame_state` of one with the same settings has returned.
        """
        for name in self.metric_state:
            getattr(self, name).append(state[name].to(self.device))
        self.names.update(state["names"])
        self._computed = None  # or the next result would be the last one

    def share_names(self) -> None:
        """Let every process know the clip names of all; every process has to call it, before ``compute``."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            tables: list[dict[int, str]] = [{}] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(tables, self.names)
            self.names = {key: name for table in tables for key, name in table.items()}

    def clip_name(self, key: int) -> str:
        """Name of the clip with a key, see :func:`clip_key`."""
        return self.names.get(key, f"clip-{key:016x}")


def clip_key(name: str) -> int:
    """Hash a clip's name to 63 bits: the same in every process, of a fixed size, and so easy to gather."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def join(state: list[Tensor]) -> Tensor:
    """Join the rows of a state, gathered or not, on the CPU."""
    return dim_zero_cat([part.cpu() for part in state] if isinstance(state, list) else state).cpu()


def mean_of_known(values: NDArray[np.float64]) -> float:
    """Average what is not NaN; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
