"""Loading a model: a trained run, a checkpoint, or an exported file.

This is the one file of the room that reaches into others, inside functions: a run needs what trained it, and files are
read as those of a training are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from backdrop.errors import RunError
from backdrop.found import Engine, Pixels
from backdrop.model import Frame, Model, Reader
from backdrop.rooms import require_rooms

EXPORTED = ".onnx"
"""How the name of an exported model ends."""


def load(
    path: str | os.PathLike[str],
    threshold: float | None = None,
    subjects: int = 1,
    checkpoint: Literal["last", "best"] | None = None,
) -> Model:
    """Load a model.

    ::

        model = backdrop.load("runs/cats")
        result = model("frame.jpg")

    Args:
        path: A run folder, a checkpoint file, or an exported model, ``cat.onnx``. An exported one needs onnxruntime,
            av and numpy only.
        threshold: Mask values from here on count as subject, in (0, 1); None takes that of an exported model, else 0.5.
        subjects: Most subjects to find in a frame; an exported model finds one.
        checkpoint: Of a run folder: the last one, or the best; None takes the last. A file is one model.

    Returns:
        The model, on the GPU where there is one.

    Raises:
        RunError: If the run or its checkpoint is missing or damaged, or a folder of yours has the name of one of
            Backdrop's packages; the message is one sentence that says what to do.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no model, or an argument is out of its range.
    """
    engine = load_engine(Path(path), subjects, checkpoint)
    return Model(engine, Reader(_read_image, _read_video), usual_threshold(engine) if threshold is None else threshold)


def usual_threshold(engine: Engine) -> float:
    """The threshold that an exported model names, else 0.5.

    Args:
        engine: What finds the subjects.
    """
    return float(getattr(engine, "metadata", {}).get("threshold", 0.5))


def load_engine(
    path: Path, subjects: int = 1, checkpoint: Literal["last", "best"] | None = None, refine_at: float | None = None
) -> Engine:
    """Load what finds the subjects.

    Args:
        path: See :func:`load`.
        subjects: See :func:`load`.
        checkpoint: See :func:`load`.
        refine_at: Cut the border of each mask again at the frame's own size, where the mask is at least this.

    Raises:
        RunError: See :func:`load`.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no model.
    """
    if checkpoint is not None and path.is_file():
        what = f"{path} is a single model, and no run folder to take the {checkpoint} checkpoint of"
        raise RunError(f"{what}: leave the choice of a checkpoint out, or give the run folder.")
    if path.suffix.lower() == EXPORTED:
        if subjects != 1:
            raise RunError(f"{path} finds one subject in a frame: leave the number of subjects out.")
        if refine_at is not None:
            raise RunError(f"{path} cannot refine masks: take the run that it was exported from.")
        from backdrop.onnx_engine import OnnxEngine

        return OnnxEngine(path)
    require_rooms(f"{path} cannot be loaded")
    from experiments.prediction.predictor import load_predictor

    return load_predictor(path, subjects, checkpoint, refine_at)


def _read_image(path: Path) -> Pixels:
    """Read an image as those of a training are."""
    require_rooms(f"{path} cannot be read", ["datamodules"], "give arrays instead")
    from datamodules.readers import read_image

    return read_image(path)


def _read_video(path: Path, stride: int, broken: Callable[[int, str], object]) -> Iterator[Frame]:
    """Read each frame that a stride takes of a video as those of a training are."""
    require_rooms(f"{path} cannot be read", ["datamodules"], "give arrays instead")
    from datamodules.readers import VideoFrames

    return VideoFrames(path).timed_frames(broken, lambda position, _: position % stride == 0)
