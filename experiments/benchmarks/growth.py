"""Whether memory grows with the length of the data: while a clip is stored, and while frames are loaded."""

from __future__ import annotations

import shutil
from multiprocessing import active_children
from pathlib import Path

from backdrop.progress import progress
from datamodules.clips.clip import Clip
from datamodules.readers import VideoFrames
from datamodules.store.store import FrameStore
from experiments.benchmarks.decoding import Size
from experiments.benchmarks.footage import DrawnFootage
from experiments.benchmarks.loading import epoch_rate, store_loader


def loading_memory(folder: Path, lengths: tuple[int, ...], size: Size, batch: int, workers: int) -> dict[int, int]:
    """Load an epoch from stores of growing length.

    Args:
        folder: An empty folder; every store is removed before the next is written.
        lengths: Numbers of frames.
        size: (height, width) in pixels.
        batch: Frames in a batch.
        workers: Loader processes.

    Returns:
        Length -> bytes that this process and its workers hold at the end of the epoch.
    """
    memory = {}
    for length in lengths:
        store = FrameStore(folder / str(length))
        store.open()
        with progress(length, "Storing generated frames") as tick:
            clip = store.write(Clip("generated", DrawnFootage(length, size), {}), size, "raw", tick=tick)
        loader = store_loader(clip, batch, workers)
        epoch_rate(loader)
        memory[length] = own_memory()
        del loader  # and with it its workers
        shutil.rmtree(store.folder)
    return memory


def storing_memory(folder: Path, video: Path, size: Size, samples: int = 10) -> list[int]:
    """Store a video and look at the memory meanwhile.

    Args:
        folder: An empty folder.
        video: The video.
        size: Working size (height, width) in pixels.
        samples: How often to look.

    Returns:
        Bytes that this process holds after each tenth (or so) of the frames.
    """
    source = VideoFrames(video)
    every, memory, count = max(1, len(source) // samples), [], 0
    store = FrameStore(folder)
    store.open()
    with progress(len(source), "Storing a long video") as tick:

        def look() -> None:
            nonlocal count
            count += 1
            if count % every == 0:
                memory.append(own_memory())
            tick()

        store.write(Clip(video.stem, source, {}), size, "raw", tick=look)
    return memory


def own_memory() -> int:
    """Bytes that this process and its workers hold for themselves, without the file cache (Linux)."""
    return sum(_anonymous(process) for process in ("self", *(str(child.pid) for child in active_children())))


def _anonymous(process: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
