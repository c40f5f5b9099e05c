"""One clip in the frame store: how its files are written, and how any of its frames is read back.

::

    run1-0123456789abcdef/frames.bin     the records of all frames, back to back
                          index.bin      N + 1 offsets into it, then N original frame numbers, all little-endian int64
                          entry.json     what it is: size, codec, source, frames left out with reasons
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from datamodules.clips.problems import Problem
from datamodules.readers import Pixels
from datamodules.store.codecs import Codec, decode_jpeg, encode

FRAMES, INDEX, ENTRY = "frames.bin", "index.bin", "entry.json"
_NUMBER = np.dtype("<i8")  # no .npy file: Python 3.11 cannot parse its header in two threads at once
_OPEN_FILES = 128


class EntryWriter:
    """Writes the files of one entry into a folder; the caller makes that folder appear under its name.

    Args:
        folder: An empty folder.
        codec: How frames are kept.
    """

    def __init__(self, folder: Path, codec: Codec) -> None:
        self.folder = folder
        self.codec = codec
        self.bytes = 0
        self._ends: list[int] = [0]
        self._indices: list[int] = []
        self._file: BinaryIO = open(folder / FRAMES, "wb")

    def add(self, index: int, image: Pixels) -> None:
        """Append a frame.

        Args:
            index: Its original number.
            image: RGB, uint8, (h, w, 3).
        """
        record = encode(image, self.codec)
        self._file.write(record.data)
        self.bytes += record.nbytes
        self._ends.append(self.bytes)
        self._indices.append(index)

    def flush(self) -> None:
        """Hand everything to the file system, so that the file has its size."""
        self._file.flush()

    def finish(self, about: dict[str, Any]) -> None:
        """Write the index and the description, and wait until everything has reached the disk.

        Args:
            about: What the entry is; plain values.
        """
        _to_disk(self._file)
        with open(self.folder / INDEX, "wb") as file:
            file.write(np.asarray(self._ends + self._indices, _NUMBER).data)
            _to_disk(file)
        about = {**about, "codec": self.codec, "frames": len(self._indices), "bytes": self.bytes}
        with open(self.folder / ENTRY, "wb") as file:
            file.write(json.dumps(about, indent=1).encode() + b"\n")
            _to_disk(file)
        sync_folder(self.folder)

    def close(self) -> None:
        """Close the file; what was not finished is worth nothing."""
        try:
            self._file.close()
        except OSError:  # a full disk refuses the rest of the buffer once more: the first refusal was reported
            pass


@dataclass(frozen=True)
class StoredClip:
    """A clip in the store, any of whose frames can be read at once; only its index is in memory.

    Attributes:
        name: Name of the clip.
        folder: Its entry.
        codec: How its frames are kept.
        size: (height, width) of the frames in pixels.
        offsets: Where each record begins and the last one ends, in bytes, int64, (N + 1,).
        indices: Original frame numbers, int64, (N,).
        problems: Frames that could not be read, or one problem without a frame number: the clip could not.
    """

    name: str
    folder: Path
    codec: Codec
    size: tuple[int, int]
    offsets: NDArray[np.int64]
    indices: NDArray[np.int64]
    problems: tuple[Problem, ...]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.indices)

    def read_into(self, position: int, out: Pixels) -> None:
        """Read one frame.

        Args:
            position: Position from 0, not the original number.
            out: Where it goes: uint8, (h, w, 3), contiguous.

        Raises:
            ValueError: If the entry is damaged.
        """
        start, end = int(self.offsets[position]), int(self.offsets[position + 1])
        file = _files.get(self.folder / FRAMES)
        if self.codec == "raw":
            whole = end - start == out.nbytes and os.preadv(file, [out.data], start) == out.nbytes
        else:
            record = os.pread(file, end - start, start)
            whole = len(record) == end - start and decode_jpeg(np.frombuffer(record, np.uint8), out)
        if not whole:
            raise ValueError(f"The stored frames in {self.folder} are damaged: delete that folder and start again.")

    def read(self, positions: Sequence[int]) -> Pixels:
        """Read some frames.

        Args:
            positions: Positions from 0, not original numbers.

        Returns:
            RGB, uint8, (len(positions), h, w, 3).
        """
        images = np.empty((len(positions), *self.size, 3), np.uint8)
        for image, position in zip(images, positions, strict=True):
            self.read_into(position, image)
        return images


def open_entry(name: str, folder: Path) -> StoredClip | None:
    """Open an entry.

    Args:
        name: Name of the clip.
        folder: Folder of the entry.

    Returns:
        The clip; None where there is no entry, or where somebody has deleted or cut a part of it.
    """
    try:
        about = json.loads((folder / ENTRY).read_text())
        index, frames = np.fromfile(folder / INDEX, _NUMBER).astype(np.int64, copy=False), about["frames"]
        offsets, indices = index[: frames + 1], index[frames + 1 :]
        whole = (folder / FRAMES).stat().st_size == about["bytes"] == offsets[-1] and len(indices) == frames
        problems = tuple(Problem(name, frame, reason) for frame, reason in about["problems"])
        found = StoredClip(name, folder, about["codec"], tuple(about["size"]), offsets, indices, problems)
    except (FileNotFoundError, NotADirectoryError, IndexError, KeyError, TypeError, ValueError):
        return None
    return found if whole else None


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder have reached the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


class _OpenFiles:
    """Files that this process has open for reading, not more than so many; the one unused for longest goes first.

    Reading at an offset shares no position, so a forked loader worker may go on with what it inherits.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._handles: OrderedDict[Path, int] = OrderedDict()

    def get(self, path: Path) -> int:
        """The file's descriptor."""
        handle = self._handles.get(path)
        if handle is None:
            handle = self._handles[path] = os.open(path, os.O_RDONLY)
            if len(self._handles) > self._most:
                os.close(self._handles.popitem(last=False)[1])
        else:
            self._handles.move_to_end(path)
        return handle


_files = _OpenFiles(_OPEN_FILES)
