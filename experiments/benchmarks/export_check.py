"""``export-check``: how near an exported file is to its run, and how fast, on real frames."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from backdrop.errors import UsageError
from backdrop.files import write_text
from backdrop.found import Engine, Pixels
from backdrop.onnx_engine import OnnxEngine
from backdrop.progress import progress
from datamodules.readers import ImageFrames, list_images, read_image
from experiments.export.comparison import compare
from experiments.prediction.predictor import load_predictor
from experiments.results.table import Table, columns, row
from experiments.results.writers import terminal
from experiments.runs import provenance
from experiments.signatures import Typed

BATCH = 16
"""Frames that a prediction hands to the model at a time."""


class Speed(NamedTuple):
    """How long frames take, from the decoded frame to the full-size mask: medians over the rounds.

    Attributes:
        processor: Milliseconds of the processor a frame, all threads together.
        clock: Milliseconds by the clock a frame.
    """

    processor: float
    clock: float


def export_check(
    command: Typed,
    run: Path,
    file: Path,
    root: Path,
    frames: int = 200,
    threads: list[int] = [1, 2],  # noqa: B006  (nothing changes it)
    rounds: int = 7,
    output: Path | None = None,
) -> None:
    """Compare an exported ONNX file with its run on real frames, and time both in turns.

    Args:
        command: As it was typed, for the record.
        run: The run folder.
        file: What backdrop export has written of it.
        root: A folder of folders of images; the frames are spread over all of them.
        frames: How many frames are compared.
        threads: Numbers of threads to time.
        rounds: How often each is timed, in turns; 0 leaves the timing out.
        output: Write the numbers as JSON.

    Raises:
        UsageError: If there are no images, or a number is too small.
    """
    if frames < BATCH or min(threads, default=0) < 1 or rounds < 0:
        raise UsageError(f"frames must be {BATCH} or more, threads 1 or more, and rounds 0 or more")
    paths = spread(root, frames)
    images = [read_image(path) for path in paths]
    torch_engine = load_predictor(run)
    found = compare(OnnxEngine(file), torch_engine, images)
    print(f"largest difference on {found.frames} frames of {root}: {found}")
    timed: dict[str, dict[str, Speed]] = {}
    with progress(len(threads) * rounds, "Timing") as tick:
        for count in threads:
            engines: dict[str, Engine] = {"PyTorch": torch_engine, "onnxruntime": OnnxEngine(file, count)}
            with _torch_threads(count):
                timed[str(count)] = in_turns(engines, images[:BATCH], rounds, tick) if rounds else {}
    rows = [
        row(name, count, f"{speed.processor:.1f}", f"{speed.clock:.1f}", f"{1000 / speed.clock:.0f}")
        for count, speeds in timed.items()
        for name, speed in speeds.items()
    ]
    if rows:
        heads = columns("engine", "threads", "processor ms a frame", "clock ms a frame", "frames/s")
        size = "x".join(map(str, reversed(images[0].shape[:2])))
        terminal(Table(f"a frame of {size}, decoded, to its full-size mask", heads, tuple(rows)))
    if output is not None:
        numbers = {count: {name: speed._asdict() for name, speed in one.items()} for count, one in timed.items()}
        record = {"command": command, **provenance.commit(), "differences": found.__dict__, "speeds": numbers}
        write_text(output, json.dumps(record, indent=2) + "\n")
        print(f"numbers: {output}")


def spread(root: Path, count: int) -> list[Path]:
    """Images spread over the folders in a folder.

    Args:
        root: The folder.
        count: How many.

    Raises:
        UsageError: If there are none.
    """
    folders = [folder for folder in sorted(root.iterdir()) if folder.is_dir()] if root.is_dir() else []
    images = [folder / name for folder in folders if list_images(folder) for name in ImageFrames(folder).names]
    if not images:
        raise UsageError(f"{root} holds no folder of images")
    return [images[place * len(images) // count] for place in range(min(count, len(images)))]


def in_turns(
    engines: dict[str, Engine], images: Sequence[Pixels], rounds: int, tick: Callable[[], None]
) -> dict[str, Speed]:
    """Time engines in turns, so that what else the machine does falls on all alike.

    Args:
        engines: By name.
        images: What each is given, at once.
        rounds: How often.
        tick: Called after each round.
    """
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for engine in engines.values():
        engine(images)  # makes ready
    for _ in range(rounds):
        for name, engine in engines.items():
            clock, processor = time.perf_counter(), time.process_time()
            engine(images)
            spent[name].append((time.process_time() - processor, time.perf_counter() - clock))
        tick()
    median = {name: [statistics.median(part) for part in zip(*times, strict=True)] for name, times in spent.items()}
    return {name: Speed(*(1000 * seconds / len(images) for seconds in times)) for name, times in median.items()}


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
