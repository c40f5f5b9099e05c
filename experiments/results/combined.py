"""One result of several models, each of a clip of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from backdrop.documents import require_whole_archive
from backdrop.errors import RunError, one_line
from backdrop.files import whole_file
from backdrop.program import program
from callbacks import MaskMetrics
from experiments.results.record import RESULTS, MadeBy, Results
from experiments.runs import provenance

FRAME_STATE = "frames.pt"
"""What the measures have kept of each test frame, beside the results of a run."""


def keep_frames(run: Path, metrics: MaskMetrics) -> None:
    """Keep the measures of each test frame, for :func:`combine`.

    Args:
        run: The run folder.
        metrics: The measures, after a test.
    """
    with whole_file(run / FRAME_STATE) as part:
        torch.save(metrics.frame_state(), part)


def combine(runs: Mapping[str, Path], command: str) -> Results:
    """Make one result of those of several models, of the same settings but for the clips.

    Args:
        runs: Run folders by clip, at least one.
        command: What the user typed, for the record.

    Returns:
        The numbers, means over clips, the best threshold one for all; ``made_by`` has one entry for each ``model``.

    Raises:
        RunError: If the measures of a run's frames are not there.
    """
    metrics = MaskMetrics()
    for run in runs.values():
        try:
            metrics.merge(_frame_state(run))
        except KeyError as error:
            file = run / FRAME_STATE
            raise RunError(f"{file} is of another version: {_remedy(run)}.") from error
    metrics.compute_results()
    models = {clip: Results.read(run / RESULTS["held_out"]).made_by for clip, run in runs.items()}
    first = next(iter(models.values()))
    made_by = MadeBy(
        setting=first.setting,
        command=command,
        **provenance.commit(),
        seed=first.seed,
        settings=replace(first.settings, data_settings=None, checkpoint=None, checkpoint_sha256=None),
        versions=first.versions,
        labels_used=first.labels_used,
        target_features=first.target_features,
        cues_agree=_mean([model.cues_agree for model in models.values()]),
        models=models,
    )
    return Results.of(metrics.results, made_by)


def _frame_state(run: Path) -> dict[str, Any]:
    """What the measures of a run have kept of each test frame.

    Raises:
        RunError: If it is not there, or damaged.
    """
    file, remedy = run / FRAME_STATE, _remedy(run)
    if not file.is_file():
        raise RunError(f"{file} is missing: {remedy}.")
    try:
        require_whole_archive(file)
        state: dict[str, Any] = torch.load(file, weights_only=True)
    except Exception as error:  # what torch raises depends on what the file holds
        raise RunError(f"{file} is damaged ({one_line(error)}): delete it, and {remedy}.") from error
    return state


def _remedy(run: Path) -> str:
    return f"{program()} evaluate {run} makes it anew"


def _mean(shares: Sequence[float | None]) -> float | None:
    """Their mean; None where one is missing."""
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known and len(known) == len(shares) else None
