"""A checkpoint that only predicts: no optimiser, no inpainter, no path of the place where it was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from backdrop.errors import RunError
from backdrop.settings import import_class
from backdrop.trusted import untrusted
from experiments.export.description import Description
from experiments.runs.folder import StageFolder, load_checkpoint, require_whole
from lightning_modules import SegmentationModule
from lightning_modules.building import build, without_files

SUFFIXES = (".ckpt", ".pt")
_KEY = "backdrop"
_LEFT_OUT = "inpainter."


def write_checkpoint(folder: StageFolder, name: str, description: Description, path: Path) -> None:
    """Write the weights that a prediction needs, and the settings of its model.

    Args:
        folder: The stage of the run.
        name: Which of its checkpoints, without the suffix.
        description: Goes into the file.
        path: The file.

    Raises:
        RunError: If the checkpoint is missing or damaged.
    """
    saved, config = require_whole(folder.checkpoints / f"{name}.ckpt"), folder.config()["model"]
    kind: Any = import_class(config["class_path"])
    weights = {key: value for key, value in saved["state_dict"].items() if not key.startswith(_LEFT_OUT)}
    if "inpainter_ready" in weights:
        weights["inpainter_ready"] = torch.tensor(False)  # nothing can be trained with it
    content = {
        "state_dict": weights,
        "hyper_parameters": without_files(kind, saved["hyper_parameters"]),
        "global_step": saved["global_step"],
        _KEY: {**description.entries(), "class_path": config["class_path"], "size": list(description.working_size)},
    }
    torch.save(content, path)


def read_checkpoint(path: Path) -> tuple[pl.LightningModule, tuple[int, int]] | None:
    """Read what :func:`write_checkpoint` has written.

    Args:
        path: A file.

    Returns:
        The model, in eval mode, and the (height, width) in pixels that it works at; None where it is the checkpoint of
        a training.

    Raises:
        RunError: If it cannot be read, or is of another version.
    """
    saved = load_checkpoint(path)
    if _KEY not in saved:
        return None
    require_whole(path)
    described = saved[_KEY]
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
    if unknown or any(not name.startswith(_LEFT_OUT) for name in absent):
        raise RunError(f"{path} does not hold the weights of its model: export it again.")
    if isinstance(model, SegmentationModule):
        model.inpainter = None  # else it would be a random one
    return model.eval(), (int(height), int(width))
