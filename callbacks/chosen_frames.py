"""ChosenFrames: a picture sheet of all frames of a small test, each with a note."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from callbacks.pictures.panels import Frame, frame_of
from callbacks.pictures.sheet import save_sheet
from callbacks.steps import step


class ChosenFrames(pl.Callback):
    """Draw every frame of a test, in order, into one sheet of the form of :class:`~callbacks.MaskImages`.

    For tests of a few frames that were chosen before, such as the best and the worst ones.

    Args:
        path: The sheet.
        notes: What is written behind a frame's clip and number, by these two; frames without are drawn too.
    """

    def __init__(self, path: Path, notes: Mapping[tuple[str, int], str]) -> None:
        """Start without frames."""
        super().__init__()
        self.path, self.notes = path, notes
        self._frames: list[Frame] = []

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last test's frames."""
        self._frames = []

    @rank_zero_only
    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the frames of this batch, if the step returned pictures."""
        found = step(outputs, batch)
        if found is not None and {"composite", "mask"} & found[0].keys():
            frames = [frame_of(*found, row) for row in range(len(found[1]["image"]))]
            for frame in frames:
                if (note := self.notes.get((frame["clip"], frame["index"]))) is not None:
                    frame["note"] = note
            self._frames += frames

    @rank_zero_only
    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the sheet."""
        if self._frames:
            save_sheet(self.path, self._frames)
