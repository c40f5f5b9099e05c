"""``score-check``: what the scores of several runs are worth, judged by frames of each other and by true masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from backdrop.errors import RunError
from backdrop.found import LIMIT
from backdrop.progress import progress
from datamodules import FramesDataModule
from datamodules.readers import Pixels, resize
from experiments.calibration.frames import places
from experiments.reporting.runs import Run, find_runs
from experiments.results.table import Cell, Row, Table, columns, mean, number, row
from experiments.results.writers import terminal
from experiments.runs.folder import StageFolder
from experiments.runs.restore import load_data, load_model
from lightning_modules import SegmentationModule

LOWEST = 0.1
"""Share of the frames that are held against the others."""

_BATCH = 16


@dataclass(frozen=True)
class Worth:
    """What the score of a run is worth.

    Attributes:
        name: Of the run.
        found: Share of its own test frames that are found.
        empty: Share of the frames of the other runs that are found empty.
        lowest: Mean J of the tenth of its frames whose score is lowest.
        rest: Mean J of the others.
        aurc: See :mod:`callbacks.measures.risk`.
        risk: The same of a score that tells nothing: 1 - J.
    """

    name: str
    found: float
    empty: float
    lowest: float
    rest: float
    aurc: float | None
    risk: float

    def row(self) -> Row:
        """As a line of the table."""
        values = (self.found, self.empty, self.lowest, self.rest, self.aurc, self.risk)
        return row(self.name, *map(number, values))


def score_check(folder: Path, each: int = 6) -> None:
    """Judge the scores of the runs in a folder: by frames of the other runs, and by J of the frames with low scores.

    Each run was trained on another clip, and is calibrated and evaluated.

    Args:
        folder: The folder that holds the runs.
        each: Frames of every other run.
    """
    runs = [run for run in find_runs(folder) if run.scored]
    if len(runs) < 2:
        raise RunError(f"{folder} holds {len(runs)} runs with scores, expected 2 or more: calibrate and evaluate them.")
    with progress(len(runs), "Reading frames") as tick:
        frames = {run.name: _frames(run, each, tick) for run in runs}
    with progress(len(runs), "Scoring") as tick:
        worth = [_judged(run, [image for name, some in frames.items() if name != run.name for image in some], tick)
                 for run in runs]  # fmt: skip
    heads = ("own found", "others empty", "J lowest tenth", "J rest", "AURC", "1 - J")
    means = [_mean([one.row().cells[place] for one in worth]) for place in range(1, 1 + len(heads))]
    total = row("mean", *means, rule=True, look="total")
    title = f"scores of {len(runs)} runs; frames of the others: {each} of each"
    terminal(Table(title, columns("", *heads), (*(one.row() for one in worth), total)))
    worse = sum(one.lowest < one.rest for one in worth)
    print(f"the lowest tenth holds the worse masks in {worse} of {len(worth)} runs")


def _mean(cells: Sequence[Cell]) -> Cell:
    return mean([float(cell.value) if cell.value is not None else None for cell in cells])


def _folder(run: Run) -> StageFolder:
    return StageFolder(run.folder / "segment")


def _frames(run: Run, each: int, tick: Callable[[], None]) -> list[Pixels]:
    """Test frames of a run, at the size that its networks see."""
    folder = _folder(run)
    data = load_data(folder.config())
    assert isinstance(data, FramesDataModule)
    if (kept := folder.clips()) is not None:
        data.keep_splits(kept)
    data.setup("test")
    found = [place.read()["image"] for place in places(data.dataset("test"), each)]
    tick()
    return found


@torch.inference_mode()
def _judged(run: Run, others: Sequence[Pixels], tick: Callable[[], None]) -> Worth:
    model = load_model(_folder(run))
    assert isinstance(model, SegmentationModule) and model.score is not None
    size = load_data(_folder(run).config()).working_size  # type: ignore[attr-defined]
    scores = []
    for start in range(0, len(others), _BATCH):
        images = np.stack([resize(image, size) for image in others[start : start + _BATCH]])
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        scores.append(model(batch)["score"].numpy())
    score, j = np.asarray(run.scored).T
    lowest = lowest_tenth(score)
    results = run.results.get("held_out")
    tick()
    return Worth(
        run.name,
        float((score >= LIMIT).mean()),
        float((np.concatenate(scores) < LIMIT).mean()),
        float(j[lowest].mean()),
        float(j[~lowest].mean()),
        results.numbers.get("aurc") if results else None,
        float(1 - j.mean()),
    )


def lowest_tenth(score: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which frames have the lowest scores: a tenth of them, at least one."""
    order = np.argsort(score, kind="stable")
    chosen = np.zeros(len(score), dtype=bool)
    chosen[order[: max(1, round(LOWEST * len(score)))]] = True
    return chosen
