"""Opening and decoding a video file with PyAV; errors name the file, and tell it from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition

from datamodules.readers.source import disk_failed, missing

_HEADER = 4 * 2**20  # more bytes than headers have


def open_video(path: Path) -> InputContainer:
    """Open a video with PyAV; errors name the file.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the disk fails or forbids it, or this process has too many files open or too little memory.
        ValueError: If the file is no video.
    """
    if not path.is_file():
        raise missing("No video", path)
    try:
        file = av.open(str(path), metadata_errors="replace")
    except (OSError, MemoryError, av.error.FFmpegError) as error:
        if isinstance(error, OSError | MemoryError) and not _cut_in_its_header(path, error):
            raise disk_failed(path, error) from error
        raise ValueError(f"Cannot open the video {path} ({error}): re-encode or replace it.") from error
    if not _streams(file):
        file.close()
        raise ValueError(f"No video stream in {path}: is it a sound file, or damaged?")
    return file


def best_stream(file: InputContainer) -> av.VideoStream:
    """The largest of the video streams, as FFmpeg's command line takes it; a single frame yields to a stream of many.

    So it is no thumbnail and no proxy, even where one comes first. (``av_find_best_stream`` goes by the bit rate, of
    which a thumbnail has the most.)
    """
    return max(_streams(file), key=lambda stream: (stream.frames != 1, stream.width * stream.height))


def _streams(file: InputContainer) -> list[av.VideoStream]:
    """The video streams but for covers, and for those whose codec FFmpeg does not know, as after damage."""
    known = [stream for stream in file.streams.video if stream.codec_context is not None]
    return [stream for stream in known if Disposition.attached_pic not in stream.disposition]


def _cut_in_its_header(path: Path, error: OSError | MemoryError) -> bool:
    """Whether opening a video fails in the same way from memory: FFmpeg calls a file that ends too soon a disk error.

    Raises:
        OSError: If the disk fails.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_HEADER)
    except OSError as failed:
        raise disk_failed(path, failed) from failed
    try:
        av.container.open(BytesIO(head), metadata_errors="replace").close()
    except (OSError, MemoryError, av.error.FFmpegError) as again:
        return type(again) is type(error)
    return False


def refuse_disk_fault(path: Path | str, error: av.error.FFmpegError) -> None:
    """Tell damage of a video from a failing disk: FFmpeg calls some damage an operation that is not permitted.

    Args:
        path: The video.
        error: What FFmpeg raised when it read on.

    Raises:
        OSError: If it is the disk or the memory: the file cannot be read without FFmpeg either.
    """
    if isinstance(error, MemoryError):
        raise disk_failed(path, error) from error
    try:
        with open(path, "rb") as file:
            while file.read(_HEADER):
                pass
    except OSError as failed:
        raise disk_failed(path, failed) from error


def decode(file: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame | av.error.FFmpegError]:
    """Decode packet by packet: frames, and the error of a packet that is broken.

    Raises:
        OSError: If the disk fails.
    """
    packets = file.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            refuse_disk_fault(file.name, error)
            yield error
            continue
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:  # the disk has no part in this, whatever the number of the error
            if isinstance(error, MemoryError):
                raise disk_failed(file.name, error) from error
            yield error
            continue
        yield from frames


def video_rate(path: Path | str) -> float:
    """Mean frame rate of a video.

    Args:
        path: The video file.

    Returns:
        Frames per second; 25 where the file does not say.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no readable video.
    """
    with open_video(Path(path)) as file:
        stream = best_stream(file)
        rates = [rate for rate in (stream.average_rate, stream.guessed_rate) if rate]
    return float(min(rates, default=25))  # of some raw streams the mean is said to be thousands
