"""Bring a trained run back: its model from the stage-2 checkpoint alone, its data from the saved config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from jsonargparse import ArgumentError, ArgumentParser

from backdrop.errors import RunError, in_words, warn
from backdrop.outputs import CONFIG
from backdrop.settings import import_class
from datamodules import load_all
from experiments.runs.composition import Stage
from experiments.runs.folder import StageFolder, require_whole
from experiments.runs.suggestions import suggested
from lightning_modules import SegmentationModule
from lightning_modules.building import without_files

load_all()  # for the short class names
MOST_SUBJECTS = 20


def segment_folder(run: Path) -> StageFolder:
    """The stage-2 folder of a run.

    Args:
        run: The run folder.

    Returns:
        Its ``segment`` folder.

    Raises:
        RunError: If the run or its second stage is missing; the message says which command makes it. Or if it is of
            another version.
    """
    folder, stage1 = StageFolder(run / "segment"), StageFolder(run / "inpaint")
    if folder.config_file.is_file() and folder.checkpoints.is_dir():
        folder.require_this_version()
        return folder
    known = next((stage for stage in (stage1, folder) if stage.config_file.is_file()), None)
    if known is None:
        what = f"{run} holds no trained stage" if run.is_dir() else f"There is no run at {run}"
        yours = {"run": {"data": "videos", "profile": "small"}, "data": {"init_args": {"root": "VIDEOS"}}}
        raise RunError(f"{what}: train one on your own videos with {suggested(['inpaint', 'segment'], yours, run)}.")
    stages: list[Stage] = ["segment"] if stage1.last.is_file() else ["inpaint", "segment"]
    raise RunError(f"{run} has no trained stage 2: make it with {suggested(stages, known.config(), run)}.")


def load_model(
    folder: StageFolder, checkpoint: str = "last", subjects: int = 1
) -> pl.LightningModule:
    """Load the segmentation model, in eval mode, on the CPU.

    Args:
        folder: The stage's folder.
        checkpoint: Name of one of its checkpoints: last, best.
        subjects: Most subjects that it is to find in a frame.

    Returns:
        The model, complete without the files that its training began from. A warning says so where the training has
        not come to its end.

    Raises:
        RunError: If the checkpoint is missing or damaged, or the number of subjects is out of range.
    """
    path = folder.checkpoints / f"{checkpoint}.ckpt"
    parameters = require_whole(path).get("hyper_parameters", {})
    config = folder.config()
    model_class = import_class(config["model"]["class_path"])
    assert model_class is not None and issubclass(model_class, pl.LightningModule)  # see segment_folder
    kept = without_files(model_class, parameters)  # they begin a training, and may be gone
    changed = {name: value for name, value in kept.items() if value != parameters[name]}
    model = model_class.load_from_checkpoint(path, map_location="cpu", weights_only=True, **changed)
    if at := folder.unfinished():
        warn(f"the training in {folder.path} is not finished ({at}): the command that began it goes on with it.")
    return seeking(model.eval(), subjects)


def seeking(model: pl.LightningModule, subjects: int) -> pl.LightningModule:
    """Let a model find several subjects in a frame.

    Args:
        model: The segmentation model.
        subjects: The most that it is to find.

    Returns:
        The same model.

    Raises:
        RunError: If the number is out of range, or the model finds one only.
    """
    if not 1 <= subjects <= MOST_SUBJECTS:
        raise RunError(f"The number of subjects is {subjects}, expected 1 to {MOST_SUBJECTS}.")
    if isinstance(model, SegmentationModule):
        model.subjects = subjects
    elif subjects > 1:
        raise RunError(f"{type(model).__name__} finds one subject in a frame: leave --subjects out.")
    return model


def load_data(config: Mapping[str, Any]) -> pl.LightningDataModule:
    """Build the data module that a saved config describes.

    Args:
        config: The saved config, of which only ``data`` is read.

    Returns:
        The data module.

    Raises:
        RunError: If the config does not fit the data module of this version.
    """
    try:
        return build_data(config)
    except (KeyError, TypeError, ValueError, ArgumentError) as error:
        where = f"data of {CONFIG}"
        raise RunError(f"{where} does not fit this version's data modules: {in_words(error)}") from error


def build_data(config: Mapping[str, Any]) -> pl.LightningDataModule:
    """Build the data module of a config; nothing is read or decoded.

    Args:
        config: The config, of which only ``data`` is read.

    Returns:
        The data module.

    Raises:
        KeyError: If there is none in the config.
        ValueError: If a setting is out of its range.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(pl.LightningDataModule, "data")
    data: pl.LightningDataModule = parser.instantiate_classes(parser.parse_object({"data": config["data"]})).data
    return data
