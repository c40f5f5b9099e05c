"""The official figures of DAVIS as the numbers of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

import numpy as np

from backdrop.errors import RunError
from callbacks import MaskMetrics
from callbacks.measures.sequences import statistics
from datamodules import FramesDataModule

ProtocolName = Literal["usual", "davis"]
"""``davis`` scores at the size of the annotation, leaves out the first and the last frame of each clip, and gives mean,
recall and decay of J and of the boundary F."""

_FIGURES = {"j": ("j_mean", "j_recall", "j_decay"), "boundary_f": ("boundary_f", "boundary_recall", "boundary_decay")}


def official_size(data: FramesDataModule) -> tuple[int, int]:
    """The size of the test clips, at which DAVIS is scored.

    Args:
        data: A data module.

    Returns:
        (height, width) in pixels.

    Raises:
        RunError: If the clips have several sizes.
    """
    sizes: dict[tuple[int, int], str] = {}
    for clip in data.listed_clips("test"):
        sizes.setdefault(clip.source.original_size(), clip.name)
    if len(sizes) > 1:
        (one, first), (other, second), *_ = sizes.items()
        raise RunError(
            f"Clip '{first}' is {one[1]}x{one[0]} and '{second}' {other[1]}x{other[0]}, and the protocol of DAVIS "
            "scores at the clips' own size: evaluate clips of one size at a time with --set clips=[...]."
        )
    return next(iter(sizes))


def official(metrics: MaskMetrics) -> dict[str, Any]:
    """The figures of a test.

    Args:
        metrics: After it.

    Returns:
        As ``results`` of :class:`callbacks.MaskMetrics`: numbers, ``clips`` and ``floors``.

    Raises:
        RunError: If a clip has fewer than three masks.
    """
    clips = _by_clip(metrics.test.frames())
    floors = {name: _mean(_by_clip(scores.frames())) for name, scores in metrics.floors.items()}
    return {**_mean(clips), "clips": clips, "floors": floors}


def _by_clip(frames: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The figures of each clip."""
    found = {}
    for name, rows in groupby((frame for frame in frames if not np.isnan(frame["j"])), key=lambda frame: frame["clip"]):
        scored = list(rows)
        try:
            figures = {key: statistics([row[key] for row in scored]) for key in _FIGURES}
        except ValueError as error:
            raise RunError(f"Clip '{name}': {error}") from None
        counts = {"frames": len(scored) - 2, "masks": len(scored) - 2}
        named = (pair for key, names in _FIGURES.items() for pair in zip(names, figures[key], strict=True))
        found[name] = dict(named) | counts
    return found


def _mean(clips: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Over clips; frames and masks are counted."""
    names = next(iter(clips.values()))
    sums = {name: sum(one[name] for one in clips.values()) for name in names}
    return {name: total if name in ("frames", "masks") else total / len(clips) for name, total in sums.items()}
