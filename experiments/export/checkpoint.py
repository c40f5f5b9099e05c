"""A checkpoint that only predicts: no optimiser, no inpainter, no path of the place where it was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from backdrop.settings import import_class
from experiments.export.description import Description
from experiments.runs.folder import StageFolder, require_whole
from experiments.runs.inference import KEY, LEFT_OUT
from lightning_modules.building import without_files


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
    weights = {key: value for key, value in saved["state_dict"].items() if not key.startswith(LEFT_OUT)}
    if "inpainter_ready" in weights:
        weights["inpainter_ready"] = torch.tensor(False)  # nothing can be trained with it
    content = {
        "state_dict": weights,
        "hyper_parameters": without_files(kind, saved["hyper_parameters"]),
        "global_step": saved["global_step"],
        KEY: {**description.entries(), "class_path": config["class_path"], "size": list(description.working_size)},
    }
    torch.save(content, path)
