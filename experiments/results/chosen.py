"""The measures of each test frame as a table, and pictures of the best, the median and the worst of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Subset

from backdrop.contracts import Batch
from backdrop.files import write_text
from callbacks import ChosenFrames
from datamodules import FramesDataModule
from datamodules.dataset import finished
from experiments.results.record import Part
from experiments.results.table import Cell, Column, Table, row
from experiments.results.writers import comma_separated
from experiments.runs.trainers import measuring_trainer

FRAMES: dict[Part, str] = {"held_out": "frames.csv", "trained": "frames_trained.csv"}
"""The table of the frames, by the part that was evaluated."""

KINDS = ("worst", "median", "best")
EACH = 3
"""Frames of each kind."""


def write_frames(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the measures of each frame as CSV.

    Args:
        path: The file.
        rows: What :meth:`callbacks.scores.SegmentationScores.frames` returns; cells of what is NaN stay empty.
    """
    columns = tuple(Column(None, name) for name in rows[0])
    lines = tuple(row(*(Cell(value=None if cell != cell else cell) for cell in one.values())) for one in rows)
    write_text(path, comma_separated([Table("", columns, lines)]))


def choose(rows: Sequence[Mapping[str, Any]], each: int = EACH) -> list[tuple[str, Mapping[str, Any]]]:
    """Choose the worst, the median and the best frames by J; where no frame has a mask, by the overlap of the boxes.

    Args:
        rows: Measures of each frame.
        each: How many of each kind at most; fewer where there are not enough frames, so that none is chosen twice.

    Returns:
        (kind, frame): the worst first, in ascending order; frames without the measure are left out.
    """
    measure = measured(rows)
    ranked = sorted((row for row in rows if not math.isnan(row[measure])), key=lambda row: float(row[measure]))
    count = min(each, -(-len(ranked) // len(KINDS)))
    middle = (len(ranked) - count) // 2
    places: dict[int, str] = {}
    for kind, start in zip(("worst", "best", "median"), (0, len(ranked) - count, middle), strict=True):
        for place in range(start, start + count):
            places.setdefault(place, kind)
    return [(places[place], ranked[place]) for place in sorted(places)]


def measured(rows: Sequence[Mapping[str, Any]]) -> str:
    """The measure that frames are ranked by: ``j``, or ``box_iou`` where no frame has a true mask."""
    return "box_iou" if all(math.isnan(row["j"]) for row in rows) else "j"


def draw_chosen(
    model: pl.LightningModule, data: pl.LightningDataModule, rows: Sequence[Mapping[str, Any]], path: Path
) -> None:
    """Draw the worst, the median and the best frames, each with its measure, on one sheet.

    Args:
        model: The model.
        data: The data module, after a test; nothing is drawn where it is none of ours.
        rows: Measures of each frame.
        path: The sheet.
    """
    if not isinstance(data, FramesDataModule):
        return
    measure = measured(rows)
    notes = {
        (row["clip"], row["frame"]): f"{kind} {'J' if measure == 'j' else 'box IoU'} {row[measure]:.3f}"
        for kind, row in choose(rows)
    }
    trainer = measuring_trainer([ChosenFrames(path, notes)], path.parent)
    trainer.test(model, datamodule=SomeFrames(data, list(notes)), verbose=False)


class SomeFrames(pl.LightningDataModule):
    """Some test frames of another data module, in a given order, as one batch.

    Args:
        data: The other data module, after a test.
        frames: (clip, frame number) of those that are wanted.
    """

    def __init__(self, data: FramesDataModule, frames: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.inner = data
        places = {name: place for place, name in enumerate(data.dataset("test").frame_names())}
        self.places = [places[name] for name in frames]

    def test_dataloader(self) -> DataLoader[Batch]:
        """The chosen frames."""
        chosen = Subset(self.inner.dataset("test"), self.places)
        return DataLoader(chosen, batch_size=len(self.places), collate_fn=finished)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """What the other data module does."""
        return self.inner.on_after_batch_transfer(batch, dataloader_idx)
