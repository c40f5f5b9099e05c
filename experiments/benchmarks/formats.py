"""Other formats for the same frames, next to which the store was chosen: memory-mapped, WebDataset, litdata."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.dataset import begin_worker
from datamodules.readers import Pixels
from experiments.benchmarks.decoding import Missing, Size
from experiments.benchmarks.loading import shuffled

_CHUNK_BYTES = 64 * 2**20  # litdata's own default
_TAR_FRAMES, _SHUFFLED_FRAMES = 100, 200


class MappedFrames(Dataset[Tensor]):
    """Frames as they are in one memory-mapped file.

    Args:
        path: The file.
        size: (height, width) in pixels.
    """

    def __init__(self, path: Path, size: Size) -> None:
        self.frames = np.memmap(path, np.uint8, mode="r").reshape(-1, *size, 3)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def __getitem__(self, item: int) -> Tensor:
        """One frame, uint8, (3, h, w)."""
        return torch.from_numpy(np.array(self.frames[item])).permute(2, 0, 1)


def mapped_loader(path: Path, frames: Iterable[Pixels], size: Size, batch: int, workers: int) -> DataLoader[Any]:
    """Write frames into a file; random batches of it."""
    with path.open("wb") as file:
        for frame in frames:
            file.write(frame.tobytes())
    return shuffled(MappedFrames(path, size), batch, workers)


def webdataset_loader(folder: Path, records: Sequence[bytes], batch: int, workers: int) -> DataLoader[Any]:
    """Write JPEG records into tar files, as many for every worker; batches of them, shuffled as far as a stream can be.

    Raises:
        Missing: If it is not installed.
    """
    webdataset = _package("webdataset")
    folder.mkdir(parents=True)
    tars = max(1, workers) * -(-len(records) // (_TAR_FRAMES * max(1, workers)))
    with webdataset.ShardWriter(f"{folder}/%06d.tar", maxcount=-(-len(records) // tars), verbose=0) as writer:
        for number, record in enumerate(records):
            writer.write({"__key__": f"{number:06d}", "jpg": record})
    shards = sorted(map(str, folder.glob("*.tar")))
    stream = webdataset.WebDataset(shards, shardshuffle=len(shards)).shuffle(_SHUFFLED_FRAMES).map(_sample)
    settings = {"persistent_workers": workers > 0, "worker_init_fn": begin_worker, "drop_last": True}
    return DataLoader(stream, batch, num_workers=min(workers, len(shards)), **settings)  # type: ignore[arg-type]


def litdata_loader(folder: Path, records: Sequence[bytes], batch: int, workers: int) -> DataLoader[Any]:
    """Write JPEG records into chunks; random batches of them.

    Raises:
        Missing: If it is not installed.
    """
    litdata, writing = _package("litdata"), _package("litdata.streaming.writer")
    writer = writing.BinaryWriter(str(folder), chunk_bytes=_CHUNK_BYTES)
    for number, record in enumerate(records):
        writer[number] = record
    writer.done()
    writer.merge()
    frames = litdata.StreamingDataset(str(folder), shuffle=True, drop_last=True, transform=_decoded)
    settings = {"persistent_workers": workers > 0, "worker_init_fn": begin_worker}
    loader: DataLoader[Any] = litdata.StreamingDataLoader(frames, batch_size=batch, num_workers=workers, **settings)
    return loader


def _sample(sample: dict[str, bytes]) -> Tensor:
    return _decoded(sample["jpg"])


def _decoded(record: bytes) -> Tensor:
    """One frame of a JPEG record, uint8, (3, h, w)."""
    image = cv2.cvtColor(cv2.imdecode(np.frombuffer(record, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(image).permute(2, 0, 1)


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Missing("not installed: pip install -e '.[benchmark]'") from None
