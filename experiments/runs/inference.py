"""Checkpoints that only predict, which ``backdrop export`` writes: reading them back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from backdrop.errors import RunError
from backdrop.settings import import_class
from backdrop.trusted import untrusted
from experiments.runs.folder import load_checkpoint, require_whole
from lightning_modules import SegmentationModule
from lightning_modules.building import build

SUFFIXES = (".ckpt", ".pt")
"""How the names of such files end."""
KEY = "backdrop"
"""Entry of such a file that describes it; the checkpoint of a training has none."""
LEFT_OUT = "inpainter."
"""How the names of the weights begin that such a file does without."""


def read_checkpoint(path: Path) -> tuple[pl.LightningModule, tuple[int, int]] | None:
    """Read what :func:`experiments.export.checkpoint.write_checkpoint` has written.

    Args:
        path: A file.

    Returns:
        The model, in eval mode, and the (height, width) in pixels that it works at; None where it is the checkpoint of
        a training.

    Raises:
        RunError: If it cannot be read, or is of another version.
    """
    saved = load_checkpoint(path)
    if KEY not in saved:
        return None
    require_whole(path)
    described = saved[KEY]
    if foreign := untrusted(described):
        raise RunError(f"{path} {foreign}.")
    try:
        kind: Any = import_class(described["class_path"])
        model: pl.LightningModule = build(kind, saved["hyper_parameters"])
        model.on_load_checkpoint(saved)  # makes room for the score
        absent, unknown = model.load_state_dict(saved["state_dict"], strict=False)
        height, width = described["size"]
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise RunError(f"{path} is of another version of Backdrop, or damaged: export it again.") from error
    if unknown or any(not name.startswith(LEFT_OUT) for name in absent):
        raise RunError(f"{path} does not hold the weights of its model: export it again.")
    if isinstance(model, SegmentationModule):
        model.inpainter = None  # else it would be a random one
    return model.eval(), (int(height), int(width))
