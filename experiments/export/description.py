"""What an exported file says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backdrop import __version__
from backdrop.onnx_engine import FORMAT
from experiments.runs import provenance

INPUT = "image: RGB frames, uint8 (B, H, W, 3), B, H and W of any size"
OUTPUTS = {
    "mask": "mask: soft mask of the subject at the frame's size, float32 (B, H, W) in [0, 1]",
    "box": "box: x0, y0, x1, y1 in pixels of the frame, on pixel edges, float32 (B, 4)",
    "confidence": "confidence: probability of the box's cell, float32 (B,) in [0, 1]",
    "score": "score: how sure it is that this is a subject and well cut, float32 (B,) in [0, 1]; 0.5 is the limit",
}
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Description:
    """What an exported file says of itself; no path of the place where it was trained is in it.

    Attributes:
        name: What the subject is called.
        run: Name of the run folder.
        working_size: (height, width) in pixels at which the networks work.
        threshold: Mask values from here on count as subject.
        outputs: Names of what it puts out.
        data: Name of the data set.
        licence: Licence of the weights; ``unknown`` where nobody said.
        data_licence: Licence of the footage, likewise.
        steps: Optimiser steps of the checkpoint.
        commits: Commits of Backdrop's source that trained it.
    """

    name: str
    run: str
    working_size: tuple[int, int]
    threshold: float
    outputs: tuple[str, ...]
    data: str = UNKNOWN
    licence: str = UNKNOWN
    data_licence: str = UNKNOWN
    steps: int = 0
    commits: tuple[str, ...] = ()

    def entries(self) -> dict[str, str]:
        """Name and text of each entry, as a file's metadata hold them."""
        commit = provenance.commit()
        return {
            "format": FORMAT,
            "version": __version__,
            "name": self.name,
            "run": self.run,
            "data": self.data,
            "licence": self.licence,
            "data_licence": self.data_licence,
            "working_size": f"{self.working_size[1]}x{self.working_size[0]}",
            "threshold": str(self.threshold),
            "steps": str(self.steps),
            "trained_by": " ".join(self.commits) or UNKNOWN,
            "commit": provenance.named(commit["commit"], commit["dirty"]) or UNKNOWN,
            "input": INPUT,
            "output": "; ".join(OUTPUTS[name] for name in self.outputs),
        }


def describe(
    run: Path,
    config: Mapping[str, Any],
    steps: int,
    working_size: tuple[int, int],
    outputs: tuple[str, ...],
    **said: Any,  # noqa: ANN401
) -> Description:
    """Describe a run.

    Args:
        run: The run folder.
        config: Its saved config.
        steps: Optimiser steps of the checkpoint.
        working_size: (height, width) in pixels.
        outputs: Names of what the file puts out.
        **said: Further attributes of :class:`Description`, as the user gave them.
    """
    settings = config.get("run") or {}
    return Description(
        run=run.resolve().name,
        working_size=working_size,
        outputs=outputs,
        data=settings.get("data") or UNKNOWN,
        steps=steps,
        commits=tuple(settings.get("commits") or ()),
        **said,
    )
