"""``benchmark``: how fast frames are loaded, and what a step of a training costs."""

from __future__ import annotations

import json
import platform
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from os import cpu_count
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch.utils.data import DataLoader

from backdrop.errors import UsageError
from backdrop.files import write_text
from backdrop.progress import progress
from datamodules.readers import VideoFrames
from datamodules.store.codecs import CODECS
from datamodules.store.entry import FRAMES
from datamodules.store.memory import machine_memory
from experiments.benchmarks import footage, formats
from experiments.benchmarks.decoding import (
    Missing,
    Opener,
    Size,
    opencv_in_order,
    opencv_reader,
    pyav_in_order,
    pyav_reader,
    torchcodec_in_order,
    torchcodec_reader,
)
from experiments.benchmarks.growth import loading_memory, storing_memory
from experiments.benchmarks.loading import (
    drop_from_memory,
    epoch_rate,
    folder_loader,
    memory_rate,
    rate,
    store_loader,
    video_loader,
    write_folder,
    write_store,
)
from experiments.benchmarks.training import tables, training
from experiments.results.table import Table, columns, row
from experiments.results.writers import terminal
from experiments.runs import provenance
from experiments.signatures import Typed

BASELINE = "JPEG folder"
VIDEO_SIZE = (1080, 1920)
LONG_LENGTHS = (1_000, 10_000, 100_000)
LONG_SIZE = (90, 160)
LONG_VIDEO = (10 * footage.RATE, 30)


class Way(NamedTuple):
    """One way to load frames.

    Attributes:
        name: What the table calls it.
        measure: Frames per second; raises :class:`experiments.benchmarks.decoding.Missing` where a package is missing.
        cold: Files to drop from memory before every measurement.
    """

    name: str
    measure: Callable[[], float]
    cold: Sequence[Path] = ()


def speeds(
    folder: Path, size: Size, frames: int, batch: int, workers: int, rounds: int, video_size: Size = VIDEO_SIZE
) -> dict[str, Any]:
    """Measure all ways on one generated clip.

    Args:
        folder: An empty folder.
        size: Working size (height, width) in pixels.
        frames: Length of the clip.
        batch: Frames in a batch.
        workers: Loader processes.
        rounds: How often everything is measured, in turns, so that a busy moment hits all ways alike.
        video_size: (height, width) of the clip in pixels.

    Returns:
        Name -> ``frames_per_second`` and ``ratio`` to the JPEG folder (a cold way to the cold folder): medians over
        the rounds, the ratio being that within a round. For a way whose package is missing, ``missing`` says why.
    """
    video = folder / "clip.mp4"
    footage.encode(video, frames, video_size)
    source = VideoFrames(video)
    raw, jpeg = write_store(folder / "raw", source, size, "raw"), write_store(folder / "jpeg", source, size, "jpeg")
    paths = write_folder(folder / "images", source, size)
    from_raw, from_jpeg = store_loader(raw, batch, workers), store_loader(jpeg, batch, workers)
    from_folder, as_float = (folder_loader(paths, batch, workers, as_float) for as_float in (False, True))

    def at_random(opener: Opener) -> float:
        return epoch_rate(video_loader(video, size, frames, opener, batch, workers))

    ways = [
        Way("store, raw", lambda: epoch_rate(from_raw)),
        Way("store, jpeg", lambda: epoch_rate(from_jpeg)),
        Way(BASELINE, lambda: epoch_rate(from_folder)),
        Way(f"{BASELINE}, float32", lambda: epoch_rate(as_float)),
        Way("store, raw, cold", lambda: epoch_rate(from_raw), [raw.folder / FRAMES]),
        Way("store, jpeg, cold", lambda: epoch_rate(from_jpeg), [jpeg.folder / FRAMES]),
        Way(f"{BASELINE}, cold", lambda: epoch_rate(from_folder), paths),
        Way("video, PyAV", lambda: at_random(pyav_reader)),
        Way("video, OpenCV", lambda: at_random(opencv_reader)),
        Way("video, torchcodec", lambda: at_random(torchcodec_reader)),
        Way("video, PyAV, in order, no loader", lambda: rate(pyav_in_order(video, size))),
        Way("video, OpenCV, in order, no loader", lambda: rate(opencv_in_order(video, size))),
        Way("video, torchcodec, in order, no loader", lambda: rate(torchcodec_in_order(video, size))),
        Way("copy in memory", lambda: memory_rate(size, batch, frames)),
    ]
    return measure(ways, rounds)


def stores(folder: Path, size: Size, frames: int, batch: int, workers: int, rounds: int) -> dict[str, Any]:
    """Measure the formats that the store was chosen from, all filled with the same drawn frames.

    Args:
        folder: An empty folder.
        size: (height, width) in pixels.
        frames: Number of frames.
        batch: Frames in a batch.
        workers: Loader processes.
        rounds: How often everything is measured.

    Returns:
        As :func:`speeds` does; all are warm.
    """
    source = footage.DrawnFootage(frames, size)
    loaders: dict[str, DataLoader[Any]] = {}
    for codec in CODECS:
        loaders[f"store, {codec}"] = store_loader(write_store(folder / codec, source, size, codec), batch, workers)
    paths = write_folder(folder / "images", source, size)
    loaders[BASELINE] = folder_loader(paths, batch, workers)
    images = (image for _, image in source.frames())
    loaders["memory-mapped"] = formats.mapped_loader(folder / "mapped.bin", images, size, batch, workers)
    missing: dict[str, str] = {}
    for name, write in (("WebDataset", formats.webdataset_loader), ("litdata", formats.litdata_loader)):
        try:
            loaders[name] = write(folder / name, [path.read_bytes() for path in paths], batch, workers)
        except Missing as error:
            missing[name] = str(error)
    ways = [Way(name, partial(epoch_rate, loader)) for name, loader in loaders.items()]
    return {**measure(ways, rounds), **{name: {"missing": why} for name, why in missing.items()}}


def measure(ways: Sequence[Way], rounds: int) -> dict[str, Any]:
    """Measure all ways in turns.

    Args:
        ways: The ways, the JPEG folder among them.
        rounds: How often.

    Returns:
        What :func:`speeds` says.
    """
    measured: list[dict[str, float]] = []
    missing: dict[str, dict[str, str]] = {}
    with progress(rounds * len(ways), "Measuring") as tick:
        for _ in range(rounds):
            measured.append({})
            for way in ways:
                drop_from_memory(way.cold)
                try:
                    measured[-1][way.name] = way.measure()
                except Missing as error:
                    missing[way.name] = {"missing": str(error)}
                tick()
    return {way.name: missing.get(way.name) or _medians(way, measured) for way in ways}


def _medians(way: Way, measured: list[dict[str, float]]) -> dict[str, float]:
    baseline = f"{BASELINE}, cold" if way.cold else BASELINE
    pairs = [(row[way.name], row[baseline]) for row in measured]
    return {
        "frames_per_second": statistics.median(value for value, _ in pairs),
        "ratio": statistics.median(value / base for value, base in pairs),
    }


def growth(folder: Path, batch: int, workers: int) -> dict[str, Any]:
    """Look at the memory while much is stored and loaded.

    Args:
        folder: An empty folder.
        batch: Frames in a batch.
        workers: Loader processes.

    Returns:
        ``loading``: number of frames -> bytes; ``storing``: bytes after each tenth of a 1080p video of five minutes.
    """
    loaded = loading_memory(folder / "loading", LONG_LENGTHS, LONG_SIZE, batch, workers)
    frames, times = LONG_VIDEO
    footage.encode(folder / "short.mp4", frames, VIDEO_SIZE)
    footage.repeat(folder / "short.mp4", folder / "long.mp4", times)
    return {"loading": loaded, "storing": storing_memory(folder / "storing", folder / "long.mp4", (360, 640))}


def table(results: dict[str, Any]) -> Table:
    """The speeds as a table.

    Args:
        results: What the command writes.

    Returns:
        A line for each way.
    """
    settings = results["settings"]
    height, width = settings["size"]
    title = f"{width}x{height}, batch {settings['batch']}, {settings['workers']} workers, {settings['frames']} frames"
    rows = []
    for name, numbers in results["speeds"].items():
        if "missing" in numbers:
            rows.append(row(name, numbers["missing"], ""))
        else:
            rows.append(row(name, f"{numbers['frames_per_second']:.0f}", f"{numbers['ratio']:.2f}"))
    return Table(title, columns("", "frames/s", f"times the {BASELINE}"), tuple(rows))


def memory_lines(found: dict[str, Any]) -> list[str]:
    """What :func:`growth` has found, in words."""
    loaded = ", ".join(f"{size / 2**20:.0f} MiB for {frames} frames" for frames, size in found["loading"].items())
    stored = ", ".join(f"{size / 2**20:.0f}" for size in found["storing"])
    return [
        f"memory of the process and its workers after an epoch: {loaded}",
        f"memory of the process in MiB after each tenth of a 1080p video of five minutes: {stored}",
    ]


def benchmark(
    what: Literal["data", "stores", "train"],
    command: Typed,
    frames: int = 1000,
    size: tuple[int, int] = (360, 640),
    batch: int = 16,
    workers: int = 2,
    rounds: int = 3,
    long: bool = False,
    kinds: list[str] = [],  # noqa: B006  (nothing changes it)
    steps: int = 40,
    against: Path | None = None,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Measure how fast frames are loaded, or what a step of a training costs.

    Args:
        what: data, ways to load a video; stores, formats to keep its frames in; or train, steps of the small profile.
        command: As it was typed, for the record.
        frames: Length of the generated clip, for data 1080p; for train there is one of its own.
        size: (height, width) of the loaded frames in pixels.
        batch: Frames in a batch.
        workers: Loader processes.
        rounds: How often everything is measured.
        long: Also measure the memory over 100000 frames and 5 minutes of video.
        kinds: For train: inpaint, inpainting, temporal or cues; all by default.
        steps: For train: length of each training, which is compared with one of 4 steps.
        against: For train: another checkout of the source code, measured in turns.
        folder: Where the temporary files go: the disk to be measured.
        output: Write the numbers as JSON.

    Raises:
        UsageError: If a number is too small.
    """
    about: dict[str, Any] = {
        "command": command,
        "machine": {"cores": cpu_count(), "memory": machine_memory(), "system": platform.platform()},
        **provenance.commit(),
    }
    if what == "train":
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            found = training(Path(temporary), kinds, steps, rounds, against)
        for one in tables(found):
            terminal(one)
        _write(output, {**about, "steps": steps, "rounds": rounds, "training": found})
        return
    batches = workers + 2
    if what == "stores":  # some formats give every worker frames of its own, and its first batch is not timed
        batches = max(batches, 2 * workers)
    if min(*size, batch, rounds, workers + 1) < 1 or frames < batches * batch:
        raise UsageError(f"sizes and numbers must be positive, and the frames at least {batches} batches of --batch")
    settings: dict[str, Any] = {"size": (size[0], size[1]), "frames": frames, "batch": batch, "workers": workers}
    results: dict[str, Any] = {**about, "settings": settings}
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        measured = speeds if what == "data" else stores
        results["speeds"] = measured(Path(temporary), rounds=rounds, **settings)
        if long:
            results["memory"] = growth(Path(temporary), batch, workers)
    terminal(table(results))
    for line in memory_lines(results["memory"]) if long else ():
        print(line)
    _write(output, results)


def _write(output: Path | None, results: dict[str, Any]) -> None:
    if output is not None:
        write_text(output, json.dumps(results, indent=2) + "\n")
        print(f"numbers: {output}")
