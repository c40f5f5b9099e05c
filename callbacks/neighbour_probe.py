"""NeighbourProbe: does a self-supervised encoder learn to know frames again, and more than before its training?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from callbacks.measures.neighbours import neighbour_scores

Row = NDArray[np.float32]
"""Features of a frame, (D,)."""


class NeighbourProbe(pl.Callback):
    """Log what the nearest neighbours of the validation frames are, see :func:`neighbour_scores`.

    ``val/same_clip`` should rise above ``val/same_clip_chance``, and ``val/time_gap`` fall below 1. A random network
    does so too, as frames of a clip look alike: ``val/…_untrained`` is what it had before the first step, as far as
    Lightning's sanity check ran over the same frames.
    """

    def __init__(self) -> None:
        """Start without frames."""
        super().__init__()
        self.untrained: dict[str, float] = {}
        self._frames: dict[tuple[str, int], Row] = {}

    def state_dict(self) -> dict[str, Any]:
        """What the untrained network had, for a resumed training."""
        return {"untrained": self.untrained}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See :meth:`state_dict`."""
        self.untrained = dict(state_dict["untrained"])

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last epoch's frames."""
        self._frames = {}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401  Lightning's union
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the features of a batch, by clip and number of the frame."""
        if isinstance(outputs, Mapping) and "features" in outputs:
            rows = outputs["features"].detach().float().cpu().numpy()
            self._frames |= zip(zip(batch["clip"], batch["index"].tolist(), strict=True), rows, strict=True)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure them."""
        frames, found = self._of_all_processes(), dict[str, float]()
        if frames:
            clips, numbers = zip(*frames, strict=True)
            found = neighbour_scores(torch.from_numpy(np.stack([*frames.values()])), clips, numbers)
        if trainer.sanity_checking:
            self.untrained = {f"{name}_untrained": value for name, value in found.items() if "chance" not in name}
            return
        logged = {f"val/{name}": value for name, value in {**found, **self.untrained}.items()}
        pl_module.log_dict(logged, sync_dist=True, batch_size=max(1, len(frames)))

    def _of_all_processes(self) -> dict[tuple[str, int], Row]:
        """The frames that all processes have seen; one that Lightning repeats to fill up is there once."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return self._frames
        parts: list[dict[tuple[str, int], Row]] = [{}] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, self._frames)
        return {place: row for part in parts for place, row in part.items()}
