"""Image files by PyAV, where Pillow is not installed, as beside an exported model."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np

from datamodules.readers.shown import axes, oriented, rgb
from datamodules.readers.source import Pixels, disk_failed, missing

_WAYS = {
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
"""EXIF 2.3, tag Orientation -> where the pixel at (x, y) is shown, see :func:`~datamodules.readers.shown.oriented`."""

_ORIENTATION = 0x112
_JPEG, _SCAN, _END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"  # ITU-T T.81, table B.1
_MOST = 2**18  # bytes of a file that are looked at: an EXIF block has at most 64 kB


def read_image(path: Path | str) -> Pixels:
    """Read one image upright (EXIF orientation honoured), the first page of several.

    Args:
        path: The image file.

    Returns:
        RGB, uint8, (H, W, 3).

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the disk fails or forbids it.
        ValueError: If the file is no complete image; the message names it.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise missing("No image", path) from None
    except OSError as error:
        raise disk_failed(path, error) from error
    try:
        if content.startswith(_JPEG) and _END not in content[content.rfind(_SCAN) :]:
            raise ValueError("its end is missing")  # which decoding passes over
        with av.open(str(path)) as file:
            frame = next(file.decode(video=0))
            if frame.is_corrupt:
                raise ValueError("it is damaged")
    except (av.error.FFmpegError, StopIteration, IndexError, ValueError) as error:
        reason = str(error) or "it holds no picture"
        raise ValueError(f"Cannot read the image {path} ({reason}): replace or delete the file.") from error
    image = _grey(frame) if frame.format.name.startswith(("gray", "ya")) else rgb(frame, (frame.height, frame.width))
    if content[4:8] == b"ftyp":  # AVIF, whose turn stands beside the picture
        return oriented(image, axes(frame))
    return oriented(image, _WAYS[turn]) if (turn := orientation(content)) in _WAYS else image


def _grey(frame: av.VideoFrame) -> Pixels:
    """RGB of a grey frame, whose values FFmpeg's scaler takes for those of a video."""
    bits, step = frame.format.components[0].bits, len(frame.format.components)
    kind = np.uint8 if bits == 8 else np.dtype("<u2" if frame.format.name.endswith("le") else ">u2")
    values = np.frombuffer(frame.planes[0], kind).reshape(frame.height, -1)  # type: ignore[call-overload]
    grey = (values[:, ::step][:, : frame.width] >> (bits - 8)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def orientation(content: bytes) -> int:
    """The tag Orientation of a JPEG, PNG, WebP or TIFF file; 1, upright, where there is none.

    Args:
        content: The bytes of the file.
    """
    if content.startswith(_JPEG):
        block = _of_jpeg(content)
    elif content.startswith(b"\x89PNG"):
        block = _of_chunks(content, 8, b"eXIf", ">I4s", 4)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        block = _of_chunks(content, 12, b"EXIF", "<4sI", 0)
    else:
        block = content if content[:4] in (b"II*\0", b"MM\0*") else b""
    return _tag(block.removeprefix(b"Exif\0\0"))


def _of_jpeg(content: bytes) -> bytes:
    """The EXIF block of a JPEG (segment APP1)."""
    at = 2
    while at + 4 <= min(len(content), _MOST) and content[at] == 0xFF:
        kind, length = content[at + 1], struct.unpack_from(">H", content, at + 2)[0]
        block = content[at + 4 : at + 2 + length]
        if kind == 0xE1 and block.startswith(b"Exif\0\0"):
            return block
        if kind == 0xDA:  # the picture begins
            break
        at += 2 + length
    return b""


def _of_chunks(content: bytes, at: int, name: bytes, head: str, after: int) -> bytes:
    """A chunk of a PNG or RIFF file, by its name.

    Args:
        content: The bytes of the file.
        at: Where the first chunk begins.
        name: The name.
        head: Form of length and name.
        after: Bytes after a chunk: a check sum.
    """
    while at + 8 <= len(content):
        length, found = sorted(struct.unpack_from(head, content, at), key=lambda part: isinstance(part, bytes))
        if found == name:
            return content[at + 8 : at + 8 + length]
        at += 8 + length + (after or length % 2)
    return b""


def _tag(block: bytes) -> int:
    """The tag Orientation in a block of TIFF tags; 1 where there is none, or the block is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        for at in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", block, at)
            if (tag, kind) == (_ORIENTATION, 3):
                return int(value)
    except struct.error:
        pass
    return 1
