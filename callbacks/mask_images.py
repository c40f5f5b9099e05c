"""MaskImages: frame, box, background, mask and composite as one picture sheet."""

from __future__ import annotations

import math
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_only

from backdrop.ranges import at_least
from backdrop.settings import Place
from callbacks.pictures.panels import Frame, frame_of
from callbacks.pictures.sheet import save_sheet
from callbacks.pictures.to_wandb import log_to_wandb
from callbacks.steps import step


class MaskImages(pl.Callback):
    """Draw what the model sees, as one sheet of pictures per validation and test (paper, Fig. 9).

    A row is a frame: the frame with its box, a blue dot for every cell of the detector (its area is the cell's
    probability, as a share of the largest) and a green line from the most probable cell to the box's centre; the
    background where the batch brings plates of it, else what the inpainter makes of the hole; the composite; the soft
    mask; the mask laid over the frame; the true mask. Columns that the step output lacks are left out. Where several
    subjects were sought, each has a box and a mask of its own colour. The output of the inpainter (``hole``) becomes
    frame, frame with the hole, composite.

    The frames are the same in every epoch. In a test they lie evenly over the whole split, and so over its clips; in
    validation, of which often but the first batches are used, they come from the first, over which our data modules
    spread the clips. The sheet is
    written to ``<directory>/val_step_000350.png``, by optimiser steps, to ``val_sheet.png`` where nothing is trained,
    and to ``test_sheet.png``; each frame goes to W&B with its mask and box, where there is a W&B logger. Only rank
    zero draws, from the frames it has.

    Args:
        every_n_epochs: Draw in validation after every so many epochs.
        num_images: Frames on the sheet in validation; the sheet of a test holds three times as many.
        directory: Folder of the sheets; None for ``images`` in the trainer's ``default_root_dir``.

    Raises:
        ValueError: If ``every_n_epochs`` or ``num_images`` is less than 1.
    """

    def __init__(
        self, every_n_epochs: Place[int] = 1, num_images: Place[int] = 4, directory: Place[str | None] = None
    ) -> None:
        """Start without frames."""
        super().__init__()
        at_least(1, self, every_n_epochs=every_n_epochs, num_images=num_images)
        self.every_n_epochs = every_n_epochs
        self.num_images = num_images
        self.directory = directory
        self._frames: list[Frame] = []

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last epoch's frames."""
        self._frames = []

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the frames of this batch that belong on the sheet."""
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if (due or trainer.state.fn != TrainerFn.FITTING) and not trainer.sanity_checking:
            self._collect(outputs, batch, batch_idx, 1, self.num_images)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the sheet, after the metrics were logged: W&B then files it under their step."""
        fitting = trainer.state.fn == TrainerFn.FITTING
        self._draw(trainer, "val", f"val_step_{trainer.global_step:06d}.png" if fitting else "val_sheet.png")

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last epoch's frames."""
        self._frames = []

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the frames of this batch that belong on the sheet."""
        self._collect(outputs, batch, batch_idx, trainer.num_test_batches[dataloader_idx], 3 * self.num_images)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the sheet, after the metrics were logged: W&B then files it under their step."""
        self._draw(trainer, "test", "test_sheet.png")

    @rank_zero_only
    def _collect(self, outputs: object, batch: object, batch_idx: int, batches: int | float, wanted: int) -> None:
        """Copy the chosen frames of one batch, if the step returned pictures."""
        found = step(outputs, batch)
        if found is None or not {"composite", "mask"} & found[0].keys():
            return
        size = len(found[1]["image"])
        for row in chosen_rows(batch_idx, size, max(batches, math.ceil(wanted / size)), wanted):
            self._frames.append(frame_of(*found, row))

    @rank_zero_only
    def _draw(self, trainer: pl.Trainer, stage: str, name: str) -> None:
        """Write the sheet of the frames kept, and send them to W&B."""
        if not self._frames:
            return
        folder = Path(self.directory) if self.directory else Path(trainer.default_root_dir) / "images"
        picture = save_sheet(folder / name, self._frames)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                log_to_wandb(logger, stage, picture, self._frames)
        self._frames = []


def chosen_rows(batch_idx: int, batch_size: int, batches: int | float, wanted: int) -> list[int]:
    """Choose which frames of a batch are drawn, so that all of them lie evenly over the split.

    Args:
        batch_idx: Position of this batch.
        batch_size: Frames in it.
        batches: Number of batches in the split; infinite if not known, then the first ones serve.
        wanted: Frames to draw in total.

    Returns:
        Rows of this batch, in ascending order.
    """
    if math.isinf(batches):
        return [0] if batch_idx < wanted else []
    places = [(k + 0.5) * batches / wanted for k in range(wanted)]  # in batches from the split's beginning
    return sorted({int((place - batch_idx) * batch_size) for place in places if int(place) == batch_idx})
