"""What every reader of a clip promises, and what the readers have in common."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from backdrop.files import NotRead

Pixels = NDArray[np.uint8]
Keep = Callable[[int, int], bool]
"""(position from 0, original number) -> whether to yield the frame."""
Broken = Callable[[int, str], object]
"""(original number, reason) -> anything; told of a frame that cannot be read, which is then left out."""

_SAMPLE = 4096  # bytes at a place of a file that count as its content
_INNER = 8  # places between both ends, of files whose length says nothing of their content
_UNCOMPRESSED = frozenset({".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".tga", ".avi", ".y4m", ".nut"})


class FrameSource(Protocol):
    """Where the frames of one clip come from."""

    def __len__(self) -> int:
        """Number of frames, exact for folders; for videos as the container states it, else as many as it holds."""

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (original frame number, RGB uint8 (H, W, 3)) in order.

        Args:
            size: Output (height, width) in pixels, by area averaging; None keeps the original size.
            keep: Which frames to yield, by position and original number; None yields all.
            broken: Told of every frame to yield that is broken or missing; None raises at the first one. Also told of a
                file that is cut off or damaged, whichever frames are kept, with the number after the last one met.

        Raises:
            ValueError: If a frame is broken and ``broken`` is None, or if no frame at all can be read.
            OSError: If the disk fails, whatever ``broken`` is: that says nothing about the frame.
        """

    def identity(self) -> Iterator[str]:
        """Everything that the frames depend on: files, see :func:`file_identity`, and settings of the source.

        Not where the files are: a copy of them is the same source.
        """

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the upright first frame in pixels."""


Source = TypeVar("Source", bound=FrameSource)


def readable(source: Source) -> Source:
    """Make sure that a clip's size can be read.

    Args:
        source: The frames.

    Returns:
        The same.

    Raises:
        ValueError: If its first frame cannot be read.
    """
    source.original_size()
    return source


def file_identity(path: Path | str) -> str:
    """Name, size in bytes, time of change in nanoseconds and some content of a file; another text means another file.

    Archives give all their files one time, and uncompressed images of one size have one length, so the first and the
    last kilobytes count too, and of formats without compression also some at eight places between. The folder is left
    out: a copy that keeps the times is the same file.
    """
    name = os.path.basename(path)
    try:
        state = os.stat(path)
    except FileNotFoundError:
        return f"{name} missing"
    return f"{name} {state.st_size} {state.st_mtime_ns} {content_sample(path)}"


def content_sample(path: Path | str) -> str:
    """Check sum of some of a file's content, see :func:`file_identity`; another text means other content."""
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        inner = _INNER if os.path.splitext(path)[1].lower() in _UNCOMPRESSED else 0
        starts = [0, max(_SAMPLE, size - _SAMPLE)] if size > _SAMPLE else [0]
        if size > (2 + inner) * _SAMPLE:
            starts[1:1] = [size * (place + 1) // (inner + 1) for place in range(inner)]
        digest = hashlib.blake2b(digest_size=8)
        for start in starts:
            file.seek(start)
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def missing(what: str, path: Path | str) -> FileNotFoundError:
    """The error to raise where a file is not there; it tells a link that leads nowhere, as before data is fetched."""
    link = ", a link that leads nowhere: fetch what it points to" if os.path.islink(path) else ""
    return FileNotFoundError(f"{what} at {path}{link}.")


def ignore(_number: int, _reason: str) -> None:
    """Leave a broken frame out without a word; whoever reads the whole clip reports it."""


def disk_failed(path: Path | str, error: OSError | MemoryError) -> NotRead:
    """The error to raise where it is not the file's fault that it cannot be read."""
    number = error.errno if isinstance(error, OSError) else errno.ENOMEM
    reason = os.strerror(number or errno.EIO)
    return NotRead(number, f"Cannot read {path} ({reason}): check the disk and the permissions.")
