"""Exporting a run: the file is written under another name, compared with PyTorch, and only then gets its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from backdrop.errors import RunError, UsageError
from backdrop.files import whole_file, write_text
from backdrop.found import Engine
from backdrop.onnx_engine import OnnxEngine
from experiments.export.card import card, is_card
from experiments.export.checkpoint import write_checkpoint
from experiments.export.comparison import Differences, compare, generated_frames, own_frames
from experiments.export.description import Description, describe
from experiments.export.files import ProgramEngine, write_onnx, write_program
from experiments.export.graph import Graph
from experiments.prediction.predictor import Predictor
from experiments.runs.folder import load_checkpoint
from experiments.runs.inference import SUFFIXES, read_checkpoint
from experiments.runs.restore import load_data, load_model, segment_folder

KINDS = (".onnx", ".pt2", *SUFFIXES)


@dataclass(frozen=True)
class Exported:
    """What an export has written.

    Attributes:
        file: The file.
        card: Its model card.
        bytes: Size of the file.
        differences: How it differs from PyTorch.
        frames: On which frames, in words.
    """

    file: Path
    card: Path
    bytes: int
    differences: Differences
    frames: str


def export_run(
    run: Path, output: Path, checkpoint: Literal["last", "best"], frames: int, **said: Any  # noqa: ANN401
) -> Exported:
    """Export a run as one file, with a model card beside it.

    Args:
        run: The run folder.
        output: The file; its suffix says which kind.
        checkpoint: Which of the run's checkpoints.
        frames: On how many frames it is compared with PyTorch.
        **said: What the user says of it, see :class:`~experiments.export.description.Description`.

    Raises:
        RunError: If the run is not complete, or the file does not say the same as the run.
        UsageError: If the suffix is none of :data:`KINDS`, or the card would replace something else.
    """
    kind = output.suffix.lower()
    if kind not in KINDS:
        raise UsageError(f"{output} ends in none of {', '.join(KINDS)}, which say what is written")
    if frames < 1:
        raise UsageError(f"frames is {frames}, expected 1 or more")
    page = output.with_suffix(".md")
    if page.exists() and not is_card(page):
        raise UsageError(f"{page} is there and is no model card, which would be written there: name another file")
    folder = segment_folder(run)
    config, data = folder.config(), load_data(folder.config())
    if clips := folder.clips():
        data.keep_splits(clips)  # type: ignore[attr-defined]
    size: tuple[int, int] = data.working_size  # type: ignore[attr-defined]
    graph = Graph(load_model(folder, checkpoint), size)
    steps = int(load_checkpoint(folder.checkpoints / f"{checkpoint}.ckpt")["global_step"])
    description = describe(run, config, steps, size, graph.names, **said)
    own = own_frames(data, frames)
    which = f"frames of the run's own data ({description.data})" if own else "generated frames: the data are not there"
    with whole_file(output) as part:
        # the name decides how it is read, so the temporary one must end the same
        draft = part.with_name(f"{part.name}{kind}")
        try:
            engine = _write(graph, description, draft, folder, checkpoint)
            found = compare(engine, Predictor(graph.model, size, torch.device("cpu")), own or generated_frames(frames))
            found.require()
            draft.replace(part)
        finally:
            draft.unlink(missing_ok=True)
    write_text(page, card(folder, run, output, description, (found, which)))
    return Exported(output, page, output.stat().st_size, found, which)


def _write(graph: Graph, description: Description, path: Path, folder: Any, checkpoint: str) -> Engine:  # noqa: ANN401
    """Write a file, and read it back."""
    if path.suffix == ".onnx":
        write_onnx(graph, description, path)
        return OnnxEngine(path)
    if path.suffix == ".pt2":
        write_program(graph, description, path)
        return ProgramEngine(path)
    write_checkpoint(folder, checkpoint, description, path)
    read = read_checkpoint(path)
    if read is None:
        raise RunError(f"{path} cannot be read back.")
    return Predictor(*read, torch.device("cpu"))
