"""Loading a model: a trained run, a checkpoint, or an exported file.

This is the one file of the room that reaches into others, inside functions: a run needs what trained it, and files are
read as those of a training are.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import backdrop
from backdrop.errors import RunError
from backdrop.found import Engine, Pixels
from backdrop.model import Frame, Model, Reader

EXPORTED = ".onnx"
"""How the name of an exported model ends."""

_ROOMS = ("datamodules", "callbacks", "lightning_modules", "experiments")
_HOME = Path(backdrop.__file__).resolve().parent.parent


def load(
    path: str | os.PathLike[str],
    threshold: float = 0.5,
    subjects: int = 1,
    checkpoint: Literal["last", "best"] = "last",
) -> Model:
    """Load a model.

    ::

        model = backdrop.load("runs/cats")
        result = model("frame.jpg")

    Args:
        path: A run folder, a checkpoint file, or an exported model, ``cat.onnx``. An exported one needs onnxruntime,
            av and numpy only.
        threshold: Mask values from here on count as subject, in (0, 1).
        subjects: Most subjects to find in a frame; an exported model finds one.
        checkpoint: Of a run: the last one, or the best.

    Returns:
        The model, on the GPU where there is one.

    Raises:
        RunError: If the run or its checkpoint is missing or damaged, or a folder of yours has the name of one of
            Backdrop's packages; the message is one sentence that says what to do.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no model, or an argument is out of its range.
    """
    return Model(load_engine(Path(path), subjects, checkpoint), Reader(_read_image, _read_video), threshold)


def load_engine(
    path: Path, subjects: int = 1, checkpoint: Literal["last", "best"] = "last", refine_at: float | None = None
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
    if path.suffix.lower() == EXPORTED:
        if subjects != 1:
            raise RunError(f"{path} finds one subject in a frame: leave the number of subjects out.")
        if refine_at is not None:
            raise RunError(f"{path} cannot refine masks: take the run that it was exported from.")
        from backdrop.onnx_engine import OnnxEngine

        return OnnxEngine(path)
    _require_rooms(f"{path} cannot be loaded")
    from experiments.prediction.predictor import load_predictor

    return load_predictor(path, subjects, checkpoint, refine_at)


def _read_image(path: Path) -> Pixels:
    """Read an image as those of a training are."""
    _require_rooms(f"{path} cannot be read", "datamodules")
    from datamodules.readers import read_image

    return read_image(path)


def _read_video(path: Path, stride: int, broken: Callable[[int, str], object]) -> Iterator[Frame]:
    """Read each frame that a stride takes of a video as those of a training are."""
    _require_rooms(f"{path} cannot be read", "datamodules")
    from datamodules.readers import VideoFrames

    return VideoFrames(path).timed_frames(broken, lambda position, _: position % stride == 0)


def _require_rooms(what: str, *rooms: str) -> None:
    """Refuse packages of somebody else under the names of ours.

    Args:
        what: What cannot be done then.
        *rooms: Those that are needed; all by default.

    Raises:
        RunError: If one is found first.
    """
    for room in rooms or _ROOMS:
        place = _place(room)
        if place is not None and place.resolve() != _HOME / room:
            way = "give arrays instead" if rooms else "load the exported model, which needs no such package"
            how = "" if rooms else " (backdrop export RUN -o MODEL.onnx, called in another folder)"
            raise RunError(f"{what}: Python finds {place} under the name {room}, a package of Backdrop: {way}{how}.")


def _place(room: str) -> Path | None:
    """The folder of the package that Python finds under a name; None where there is none."""
    found: Any = importlib.util.find_spec(room)
    places = list(getattr(found, "submodule_search_locations", None) or [])
    if found is not None and not places:  # a file, such as experiments.py
        places = [found.origin or ""]
    return Path(places[0]) if places else None
