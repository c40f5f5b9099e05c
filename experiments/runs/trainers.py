"""The trainer of all loops that measure: one device, no logger, no checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from experiments.runs.progress_bar import progress_bar
from experiments.runs.slurm import own_environment


def measuring_trainer(
    callbacks: Sequence[pl.Callback],
    folder: Path,
    progress: bool = False,
    **changed: Any,  # noqa: ANN401
) -> pl.Trainer:
    """A trainer that keeps nothing but what its callbacks keep.

    Args:
        callbacks: What measures and draws.
        folder: Its default folder.
        progress: Whether a bar, or lines of text, say how far it is.
        **changed: Other settings of Lightning's trainer; it computes in float32 on the fastest device without them.
    """
    settings: dict[str, Any] = {
        "accelerator": "auto",
        "devices": 1,  # several devices would repeat frames to fill up
        "precision": "32-true",
        "plugins": own_environment(),
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": progress,
    }
    shown = [*callbacks, progress_bar()] if progress else list(callbacks)
    return pl.Trainer(callbacks=shown, default_root_dir=folder, **settings | changed)
