"""Ways to load frames, side by side: the store, a folder of JPEG files, a decoded video, copying memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from datamodules.clips.clip import Clip
from datamodules.dataset import FrameDataset, begin_worker, finished
from datamodules.readers import FrameSource
from datamodules.store.codecs import Codec, encode
from datamodules.store.entry import StoredClip
from datamodules.store.store import FrameStore
from experiments.benchmarks.decoding import Opener, Size, VideoDataset

_VIDEO_BATCHES = 3  # of every worker: each takes seconds


class JpegFolder(Dataset[Tensor]):
    """What a user would write first: one JPEG file for each frame, read with OpenCV.

    Args:
        paths: The files.
        as_float: Whether a frame is float32 in [0, 1], as torchvision's ToTensor makes it, or uint8.
    """

    def __init__(self, paths: list[Path], as_float: bool) -> None:
        self.paths = paths
        self.as_float = as_float

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.paths)

    def __getitem__(self, item: int) -> Tensor:
        """One frame, (3, h, w)."""
        image = cv2.cvtColor(cv2.imread(str(self.paths[item])), cv2.COLOR_BGR2RGB)
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        return pixels.float().div_(255) if self.as_float else pixels


def store_loader(clip: StoredClip, batch: int, workers: int) -> DataLoader[Any]:
    """Random batches from the store, as the data modules load them."""
    return shuffled(FrameDataset([clip]), batch, workers, finished)


def folder_loader(paths: list[Path], batch: int, workers: int, as_float: bool = False) -> DataLoader[Any]:
    """Random batches from a folder of JPEG files, same settings."""
    return shuffled(JpegFolder(paths, as_float), batch, workers)


def video_loader(video: Path, size: Size, frames: int, opener: Opener, batch: int, workers: int) -> DataLoader[Any]:
    """Random batches of a video that is decoded each time, same settings; a few of them instead of all.

    Raises:
        Missing: If a package that the opener needs is not there.
    """
    few = min(frames, (_VIDEO_BATCHES + 1) * max(1, workers) * batch)
    return shuffled(VideoDataset(video, size, frames, opener), batch, workers, samples=few)


def shuffled(
    dataset: Dataset[Any],
    batch: int,
    workers: int,
    collate: Callable[[Any], Any] | None = None,
    samples: int | None = None,
) -> DataLoader[Any]:
    """Random batches of a dataset.

    Args:
        dataset: The frames.
        batch: Frames in a batch.
        workers: Loader processes.
        collate: Makes a batch of them; None does it as torch does.
        samples: How many of the frames an epoch takes; None takes all.
    """
    return DataLoader(
        dataset,
        batch_size=batch,
        sampler=RandomSampler(dataset, num_samples=samples),  # type: ignore[arg-type]  # all have a length
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
        worker_init_fn=begin_worker,
    )


def epoch_rate(loader: DataLoader[Any]) -> float:
    """Frames per second of one epoch, without the first batch of every worker, before which it starts.

    Args:
        loader: The loader.

    Returns:
        Frames per second.
    """
    batches = iter(loader)
    for _ in range(max(1, loader.num_workers)):
        _count(next(batches))
    begin = time.perf_counter()
    frames = sum(_count(batch) for batch in batches)
    return frames / (time.perf_counter() - begin)


def _count(batch: Any) -> int:  # noqa: ANN401  a dictionary of the store, a tensor of the folder
    return len(batch["image"] if isinstance(batch, dict) else batch)


def rate(frames: Iterator[object]) -> float:
    """Frames per second of an iterator over frames."""
    begin = time.perf_counter()
    count = sum(1 for _ in frames)
    return count / (time.perf_counter() - begin)


def memory_rate(size: Size, batch: int, frames: int) -> float:
    """Frames per second of copying batches within memory: no loader in one process can be faster.

    Args:
        size: (height, width) in pixels.
        batch: Frames in a batch.
        frames: How many to copy.

    Returns:
        Frames per second.
    """
    source = np.random.default_rng(0).integers(0, 256, (4 * batch, *size, 3), dtype=np.uint8)
    target = np.empty((batch, *size, 3), np.uint8)
    begin = time.perf_counter()
    for start in range(0, frames, batch):
        np.copyto(target, source[start % (4 * batch) :][:batch])
    return frames / (time.perf_counter() - begin)


def write_store(folder: Path, source: FrameSource, size: Size, codec: Codec) -> StoredClip:
    """Put frames into a store."""
    store = FrameStore(folder)
    store.open()
    return store.write(Clip("clip", source, {}), size, codec)


def write_folder(folder: Path, source: FrameSource, size: Size) -> list[Path]:
    """Put frames into a folder of JPEG files of quality 95."""
    folder.mkdir(parents=True)
    paths = []
    for number, image in source.frames(size):
        paths.append(folder / f"{number:06d}.jpg")
        paths[-1].write_bytes(encode(image, "jpeg").tobytes())
    return paths


def drop_from_memory(paths: Sequence[Path]) -> None:
    """Let the system forget the content of files, as if they had not been read for long."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
