"""``target-cost``: what the training targets of a clip cost, by its length and by the size of its frames."""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from backdrop.errors import UsageError
from backdrop.files import write_text
from backdrop.progress import progress
from datamodules.cues.targets import Targets
from datamodules.readers import VideoFrames
from experiments.benchmarks.footage import encode
from experiments.results.table import Table, columns, row
from experiments.results.writers import terminal
from experiments.runs import provenance
from experiments.signatures import Typed

WORKING = (135, 240)
"""Size (height, width) in pixels at which the small profile trains on targets."""


class Cost(NamedTuple):
    """What the targets of a clip have cost.

    Attributes:
        seconds: Of the processor, for a frame.
        memory: Most memory that the process held, in MiB.
    """

    seconds: float
    memory: float


def target_cost(
    command: Typed,
    lengths: list[int] = [70, 280],  # noqa: B006  (nothing changes it)
    heights: list[int] = [480, 1080],  # noqa: B006
    output: Path | None = None,
) -> None:
    """Measure what the training targets of generated clips of 16:9 cost, each in a process of its own.

    Args:
        command: As it was typed, for the record.
        lengths: Numbers of frames.
        heights: Heights of the frames in pixels.
        output: Write the numbers as JSON.

    Raises:
        UsageError: If a number is too small.
    """
    if min(*lengths, *heights) < 16:
        raise UsageError("lengths and heights must be at least 16")
    found: dict[str, Cost] = {}
    cases = [(length, (height, round(height * 8 / 9) * 2)) for height in heights for length in lengths]
    with progress(len(cases), "Measuring generated clips") as tick:
        for length, size in cases:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found[f"{length} frames of {size[1]}x{size[0]}"] = Cost(*pool.apply(cost, (length, size)))
            tick()
    rows = [row(name, f"{one.seconds:.2f}", f"{one.memory:.0f}") for name, one in found.items()]
    headings = columns("clip", "processor s a frame", "most memory, MiB")
    terminal(Table("training targets of a generated clip", headings, tuple(rows)))
    if output is not None:
        numbers = {name: one._asdict() for name, one in found.items()}
        write_text(output, json.dumps({"command": command, **provenance.commit(), "cost": numbers}, indent=2) + "\n")
        print(f"numbers: {output}")


def cost(length: int, size: tuple[int, int]) -> tuple[float, float]:
    """Make the targets of a generated video, decoding included.

    Args:
        length: Number of frames.
        size: (height, width) in pixels.

    Returns:
        See :class:`Cost`; the memory is that of the whole process.
    """
    with tempfile.TemporaryDirectory() as folder:
        encode(video := Path(folder) / "clip.mp4", length, size)
        source, started = VideoFrames(video), time.process_time()
        for _ in Targets().make(source, WORKING):
            pass
        seconds = (time.process_time() - started) / length
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
