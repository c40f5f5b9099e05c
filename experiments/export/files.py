"""The exported file in each of its forms."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backdrop.errors import RunError
from backdrop.found import Found, Pixels
from backdrop.seal import BLANK, seal
from experiments.export.convolutions import split_uneven
from experiments.export.description import Description
from experiments.export.graph import Graph
from experiments.export.upsampling import scale_by_factors

OPSET = 20
"""Of ONNX; onnxruntime reads it since 1.17."""
_EXAMPLE = (2, 300, 500, 3)  # sizes that are equal to no other one, of which none is 1: the exporter takes all as free


def write_onnx(graph: Graph, description: Description, path: Path) -> None:
    """Write an ONNX file for frames of any number and size.

    Args:
        graph: The model.
        description: Goes into the file's metadata.
        path: The file.

    Raises:
        RunError: If what it needs is not installed, or the exporter took a size for fixed.
    """
    if absent := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        what = "An ONNX file is written with onnx and onnxscript, and compared with the run by onnxruntime"
        raise RunError(f"{what}: pip install {' '.join(absent)}.")
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    with _quiet():
        written: Any = torch.onnx.export(
            _program(graph), dynamo=True, input_names=["image"], output_names=list(graph.names), opset_version=OPSET,
            verbose=False,
        )  # fmt: skip
    model = written.model
    for one in (model.graph.inputs[0], model.graph.outputs[0]):
        if any(isinstance(size, int) for size in list(one.shape)[:3]):
            raise RunError(f"The exporter took the sizes of {one.name} for fixed: {one.shape}.")
    found = dict(model.opset_imports)
    if found.get("") != OPSET:
        raise RunError(f"The exporter wrote operators {found}, expected version {OPSET}.")
    split_uneven(model)
    scale_by_factors(model)
    RemoveUnusedNodesPass()(model)
    model.metadata_props.update({**description.entries(), "check": BLANK})
    model.doc_string = f"Backdrop: finds and cuts out {description.name}"
    written.save(str(path))
    seal(path)


def write_program(graph: Graph, description: Description, path: Path) -> None:
    """Write a program of ``torch.export`` for frames of any number and size; ``backdrop.json`` in it describes it.

    Args:
        graph: The model.
        description: Goes into the file.
        path: The file.
    """
    with _quiet():
        torch.export.save(_program(graph), path, extra_files={"backdrop.json": json.dumps(description.entries())})


class ProgramEngine:
    """A program of ``torch.export`` as a :class:`backdrop.found.Engine`.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        extra = {"backdrop.json": ""}
        self._run = torch.export.load(path, extra_files=extra).module()
        self._names = [part.split(":")[0] for part in json.loads(extra["backdrop.json"])["output"].split("; ")]

    def __call__(self, images: Sequence[Pixels]) -> list[list[Found]]:
        """See :class:`backdrop.found.Engine`."""
        return [self._found(image) for image in images]

    @torch.no_grad()
    def _found(self, image: Pixels) -> list[Found]:
        output: dict[str, Tensor] = dict(zip(self._names, self._run(torch.tensor(image)[None]), strict=True))
        x0, y0, x1, y1 = output["box"][0].tolist()
        score = float(output["score"]) if "score" in output else None
        return [Found(output["mask"][0].numpy(), (x0, y0, x1, y1), float(output["confidence"]), score)]


def _program(graph: Graph) -> torch.export.ExportedProgram:
    """The graph with all sizes of its input left open."""
    free = torch.export.Dim.DYNAMIC
    image = torch.zeros(_EXAMPLE, dtype=torch.uint8)
    with torch.no_grad():
        return torch.export.export(graph, (image,), dynamic_shapes={"image": {0: free, 1: free, 2: free}})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters, which report their steps; what fails is raised."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
