"""One clip in the frame store: how its files are written, and how any of its frames is read back.

::

    run1-0123456789abcdef/frames.bin     the records of all frames, back to back: of each frame one for every plane
                          index.bin      N * P + 1 offsets into it, then N original frame numbers, little-endian int64
                          entry.json     what it is: the P planes, size, codec, source, frames left out with reasons
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from backdrop.documents import read_json
from backdrop.files import to_disk
from datamodules.clips.clip import Clip
from datamodules.clips.planes import Frames, Plane, Producer
from datamodules.clips.problems import Problem
from datamodules.readers import Pixels
from datamodules.store.codecs import JPEG_QUALITY, Codec, PlaneCodec, decode, encode, plane_codec

FORMAT = 3
"""Part of every key: raise it whenever the same source would give other bytes."""

FRAMES, INDEX, ENTRY = "frames.bin", "index.bin", "entry.json"
_NUMBER = np.dtype("<i8")  # no .npy file: Python 3.11 cannot parse its header in two threads at once
_OPEN_FILES = 128


@dataclass(frozen=True)
class StoredPlane:
    """A plane of an entry.

    Attributes:
        name: Its name.
        colour: Whether it is RGB, (h, w, 3), or (h, w).
        codec: How it is kept.
    """

    name: str
    colour: bool
    codec: PlaneCodec


class EntryWriter:
    """Writes the files of one entry into a folder; the caller makes that folder appear under its name.

    Args:
        folder: An empty folder.
        planes: What is kept of every frame.
        codec: How it is kept.
    """

    def __init__(self, folder: Path, planes: Sequence[Plane], codec: Codec) -> None:
        self.folder = folder
        self.planes = [StoredPlane(plane.name, plane.colour, plane_codec(plane, codec)) for plane in planes]
        self.codec = codec
        self.bytes = 0
        self._ends: list[int] = [0]
        self._frame_numbers: list[int] = []
        self._file: BinaryIO = open(folder / FRAMES, "wb")

    def add(self, frame_number: int, pixels: Mapping[str, Pixels]) -> None:
        """Append a frame.

        Args:
            frame_number: Its original number.
            pixels: Its planes by name, uint8, (h, w, 3) or (h, w).
        """
        for plane in self.planes:
            record = encode(pixels[plane.name], plane.codec)
            self._file.write(record.data)
            self.bytes += record.nbytes
            self._ends.append(self.bytes)
        self._frame_numbers.append(frame_number)

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
            file.write(np.asarray(self._ends + self._frame_numbers, _NUMBER).data)
            _to_disk(file)
        planes = [asdict(plane) for plane in self.planes]
        counts = {"frames": len(self._frame_numbers), "bytes": self.bytes}
        about = {**about, "codec": self.codec, "planes": planes, **counts}
        with open(self.folder / ENTRY, "wb") as file:
            file.write(json.dumps(about, indent=1).encode() + b"\n")
            _to_disk(file)
        to_disk(self.folder)

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
        codec: How it is kept.
        planes: What is kept of every frame.
        size: (height, width) of the frames in pixels.
        offsets: Where each record begins and the last one ends, in bytes, int64, (N * P + 1,).
        frame_numbers: Original frame numbers, int64, (N,).
        problems: Frames that could not be read, or one problem without a frame number: the clip could not.
    """

    name: str
    folder: Path
    codec: Codec
    planes: tuple[StoredPlane, ...]
    size: tuple[int, int]
    offsets: NDArray[np.int64]
    frame_numbers: NDArray[np.int64]
    problems: tuple[Problem, ...]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frame_numbers)

    def read_into(self, position: int, out: Pixels, plane: str = "frame") -> None:
        """Read one plane of one frame.

        Args:
            position: Position from 0, not the original frame number.
            out: Where it goes: uint8, (h, w, 3) or (h, w), contiguous.
            plane: Its name.

        Raises:
            ValueError: If the entry is damaged.
        """
        at, codec = self._places[plane]
        record = position * len(self.planes) + at
        start, end = int(self.offsets[record]), int(self.offsets[record + 1])
        file = _files.get(self.folder / FRAMES)
        if codec == "raw":
            whole = end - start == out.nbytes and os.preadv(file, [out.data], start) == out.nbytes
        else:
            data = os.pread(file, end - start, start)
            whole = len(data) == end - start and decode(np.frombuffer(data, np.uint8), codec, out)
        if not whole:
            raise ValueError(f"The stored frames in {self.folder} are damaged: delete that folder and start again.")

    def read(self, positions: Sequence[int], plane: str = "frame") -> Pixels:
        """Read one plane of some frames.

        Args:
            positions: Positions from 0, not original frame numbers.
            plane: Its name.

        Returns:
            uint8, (len(positions), h, w, 3) or (len(positions), h, w).
        """
        colour = next(stored.colour for stored in self.planes if stored.name == plane)
        images = np.empty((len(positions), *self.size, *([3] if colour else [])), np.uint8)
        for image, position in zip(images, positions, strict=True):
            self.read_into(position, image, plane)
        return images

    @cached_property
    def _places(self) -> dict[str, tuple[int, PlaneCodec]]:
        """Position among a frame's records, and codec, of every plane by name."""
        return {plane.name: (at, plane.codec) for at, plane in enumerate(self.planes)}


def entry_name(clip: Clip, size: tuple[int, int], codec: Codec, producer: Producer | None = None) -> str:
    """Name of a clip's entry, which changes with everything that its bytes depend on.

    Args:
        clip: The clip.
        size: Working size (height, width) in pixels.
        codec: How planes are kept.
        producer: Makes the planes; by default the frames themselves.

    Returns:
        The clip's name, as far as it can be a folder's, and 16 hexadecimal digits.
    """
    producer = producer or Frames()
    clip, key, names = producer.kept(clip), hashlib.sha256(), [plane.name for plane in producer.planes]
    which = [sorted(part) if isinstance(part, frozenset) else part for part in clip.kept]
    settings = [FORMAT, names, *which, list(size), codec, JPEG_QUALITY if codec == "jpeg" else None]
    key.update(json.dumps(settings).encode())
    for part in producer.identity(clip.source):
        key.update(part.encode(errors="surrogateescape") + b"\0")
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', clip.name)[:80].strip('_') or 'clip'}-{key.hexdigest()[:16]}"


def open_entry(name: str, folder: Path) -> StoredClip | None:
    """Open an entry.

    Args:
        name: Name of the clip.
        folder: Folder of the entry.

    Returns:
        The clip; None where there is no entry, or where somebody has deleted or cut a part of it.
    """
    try:
        about = read_json(folder / ENTRY)
        index, frames = np.fromfile(folder / INDEX, _NUMBER).astype(np.int64, copy=False), about["frames"]
        planes = tuple(StoredPlane(**plane) for plane in about["planes"])
        offsets, frame_numbers = np.split(index, [frames * len(planes) + 1])
        whole = (folder / FRAMES).stat().st_size == about["bytes"] == offsets[-1] and len(frame_numbers) == frames
        problems = tuple(Problem(name, frame, reason) for frame, reason in about["problems"])
        size = (int(about["size"][0]), int(about["size"][1]))
        found = StoredClip(name, folder, about["codec"], planes, size, offsets, frame_numbers, problems)
    except (FileNotFoundError, NotADirectoryError, IndexError, KeyError, TypeError, ValueError):
        return None
    return found if whole else None


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
