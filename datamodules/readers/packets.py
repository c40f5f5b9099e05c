"""The packets of a video, read without decoding: when its frames are shown, and how many were cut off."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from backdrop.program import fit_option
from datamodules.readers.remarks import Remark
from datamodules.readers.video_file import best_stream, decode, open_video, refuse_disk_fault

DECODING_TIMES = "avi"
"""FFmpeg's name of the format without times of display: where frames are out of order, FFmpeg makes up wrong ones."""

_HEAD = 4096  # bytes that hold the beginning of a Matroska segment, or what follows the end of a GIF
_UNEVEN = 0.1  # share of a step: clocks of cameras are not even to the last tick
_LOOKED_AT = 300  # packets: ten seconds of a large video are 100 MB
_SEGMENT = b"\x18\x53\x80\x67"
_PIECE = 2**20
_SAMPLED = "--data.init_args.fps 10"
_TAIL = 32  # frames whose rate is that of the end of a video; decoders reorder fewer


@dataclass(frozen=True)
class Packets:
    """What the packets of a video say.

    Attributes:
        stamps: When each frame is shown, seconds on the container's clock, in order, (N,); NaN where it does not say.
        cut_open: Whether the file begins with frames that need others before it, so that decoders drop some of them, or
            with some that lack a stamp.
    """

    stamps: NDArray[np.float64]
    cut_open: bool


def read_packets(path: Path, most: int | None = None) -> Packets:
    """Read the packets of a video, without decoding them.

    Args:
        path: The video file.
        most: How many to read; None reads all.

    Returns:
        What they say; of a file that is damaged, those before the damage.

    Raises:
        OSError: If the disk fails.
        ValueError: If the file is no video.
    """
    packets: list[tuple[int | None, int | None]] = []
    first_key: int | None = None
    with open_video(path) as file:
        stream = best_stream(file)
        base, dated = stream.time_base, file.format.name != DECODING_TIMES
        try:
            for packet in file.demux(stream):
                if packet.size and not packet.is_discard:
                    first_key = len(packets) if first_key is None and packet.is_keyframe else first_key
                    packets.append((packet.pts, packet.dts))
                if len(packets) == most:
                    break
        except av.error.FFmpegError as error:  # reading the frames will meet it again, and list what is lost
            refuse_disk_fault(path, error)
    # Decoding times are the times of display in another order.
    column = 0 if dated and all(shown is not None for shown, _ in packets) else 1
    stamps = np.asarray([np.nan if pair[column] is None else pair[column] for pair in packets], dtype=np.float64)
    if not len(stamps):
        return Packets(stamps, cut_open=False)
    cut_open = first_key is None or not (stamps >= stamps[first_key]).all()  # nor where one is NaN
    return Packets(np.sort(stamps) * float(base or np.nan), cut_open)


def decoded_stamps(path: Path) -> NDArray[np.float64]:
    """When the frames of a video are shown, as its decoder tells; slow, as all of it is decoded.

    Args:
        path: The video.

    Returns:
        Seconds on the container's clock, in order, (N,); of frames without a stamp, broken ones among them, what lies
        between those of the others; NaN where none has any.

    Raises:
        OSError: If the disk fails.
        ValueError: If the file is no video.
    """
    with open_video(path) as file:
        stream = best_stream(file)
        stream.thread_type = "AUTO"
        shown = [getattr(frame, "pts", None) for frame in decode(file, stream)]
        base = stream.time_base
    stamps = np.asarray([np.nan if stamp is None else stamp for stamp in shown], dtype=np.float64)
    known = np.flatnonzero(np.isfinite(stamps))
    return np.interp(np.arange(len(stamps)), known, stamps[known]) * float(base or np.nan) if len(known) else stamps


def stated_frames(file: InputContainer, stream: av.VideoStream) -> int:
    """How many frames the container says are shown; 0 where it does not say.

    Those before the begin of an edit list are not, nor those that an AVI counts where a frame was dropped, and the one
    before is shown on. Its table of frames tells, which stands at the end, so only of a file that is whole.
    """
    table = list(stream.index_entries)
    stated = max(0, int(stream.frames) - sum(entry.is_discard for entry in table))
    if file.format.name != DECODING_TIMES:
        return stated
    with open(file.name, "rb") as content:
        size = int.from_bytes(content.read(8)[4:], "little") + 8  # of the RIFF chunk; that of a large file is not all
    whole = 0 <= Path(file.name).stat().st_size - size < 8
    return sum(entry.size > 0 for entry in table) if whole and table else stated


def stated_end(file: InputContainer, stream: av.VideoStream) -> float | None:
    """When the video ends by the header of a Matroska file, in seconds; None where that is not known.

    Other containers that state no number of frames have no duration either, or one that is measured from what is left.
    """
    if "matroska" not in file.format.name:
        return None
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:  # no such tag: the file's duration is that of its longest stream, which may be the sound
        alone = len(file.streams) == 1 and file.duration is not None
        return file.duration / av.time_base if alone and file.duration is not None else None


def ends_early(path: Path, container: str) -> bool:
    """Whether a file ends before its container does, where that is known: GIF, MPEG-TS and Matroska.

    Args:
        path: The video.
        container: FFmpeg's name of the format.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, size - _HEAD))
        tail = file.read()
    if container == "gif":
        return not tail.rstrip(b"\0").endswith(b";")
    if container == "mpegts":
        return all(size % packet for packet in (188, 192, 204))
    segment = head.find(_SEGMENT) + 4  # its identifier, before its size (RFC 8794, 4 and RFC 9559, 5.1)
    if "matroska" not in container or segment < 4 or segment == len(head):
        return False
    length = 9 - head[segment].bit_length()
    number = int.from_bytes(head[segment : segment + length], "big") & ((1 << 7 * length) - 1)
    return number != (1 << 7 * length) - 1 and size < segment + length + number  # all ones: it is not known


def time_remarks(path: Path, every: Callable[[], Packets]) -> Iterator[Remark]:
    """What there is to say of the times of a video: that it was cut, and that its rate varies.

    A varying rate is seen in the table of all frames, where the file has one (MP4, AVI), else in all packets.

    Args:
        path: The video.
        every: Reads all packets.

    Raises:
        OSError: If the disk fails.
        ValueError: If the file is no video.
    """
    with open_video(path) as file:
        stream = best_stream(file)
        whole = len(stream.index_entries) == stream.frames
        table = [(entry.timestamp, entry.is_discard) for entry in stream.index_entries if whole and entry.size]
        base = float(stream.time_base or np.nan)
    packets = read_packets(path, _LOOKED_AT) if table else every()
    hidden = sum(discarded for _, discarded in table)
    if hidden or (packets.cut_open and np.isfinite(packets.stamps).all()):
        what = f"{hidden} of its {len(table)} frames are" if hidden else "some of its first frames need others and are"
        counted = "frames are counted from the first that is shown"
        yield Remark("cut", f"{path} was cut without encoding it anew, and {what} not shown: {counted}", of_each=False)
    # Where a table has decoding times, those have holes between those of the frames that are shown.
    stamps = np.sort([stamp * base for stamp, _ in table]) if table else packets.stamps
    steps = np.diff(stamps)
    if len(steps) and (np.abs(steps - np.median(steps)) > max(_UNEVEN * np.median(steps), 1.5 * base)).any():
        apart = f"{1000 * steps.min():.0f} to {1000 * steps.max():.0f} ms from frame to frame"
        option = fit_option(_SAMPLED)
        sampled = f"; `{option}` takes ten of a second by their times" if option else ""
        what = f"{path} has a variable rate, {apart}: frames are taken by their number{sampled}"
        images = f"ffmpeg -i {shlex.quote(str(path))} -fps_mode passthrough -start_number 0 %06d.png"
        yield Remark("variable rate", f"{what}; images of all frames to draw masks on: {images}", of_each=False)


def wrong_part(path: Path, container: str) -> int | None:
    """Where the first part of a Matroska file begins whose check sum is wrong, which FFmpeg writes and never compares.

    A part may begin with the element CRC-32, of all that follows in it (RFC 8794, 11.3.1; RFC 9559, 5.1).

    Args:
        path: The video.
        container: FFmpeg's name of the format.

    Returns:
        Bytes from the beginning; None where no part, or no part with a check sum, is wrong.
    """
    if "matroska" not in container:
        return None
    size = path.stat().st_size
    with open(path, "rb") as file:
        while True:
            start = file.tell()
            kind, length = _element(file)
            if kind == _SEGMENT:
                continue  # its parts follow
            if length is None or (end := file.tell() + length) > size:  # which :func:`ends_early` says
                return None
            head = file.read(min(6, length))
            if head[:2] == b"\xbf\x84":
                found, left = 0, length - 6
                while left > 0 and (piece := file.read(min(left, _PIECE))):
                    found, left = zlib.crc32(piece, found), left - len(piece)
                if left == 0 and found != int.from_bytes(head[2:], "little"):
                    return start
            file.seek(end)


def _element(file: BinaryIO) -> tuple[bytes, int | None]:
    """Identifier and length of the element of EBML that follows; no length at the end, or where it is not known."""
    first = file.read(1)
    kind = first + file.read(8 - first[0].bit_length() if first and first[0] else 0)
    begin = file.read(1)
    if not begin or not begin[0]:
        return kind, None
    more = 8 - begin[0].bit_length()
    number = int.from_bytes(begin + file.read(more), "big") & ((1 << 7 * (more + 1)) - 1)
    return kind, None if number == (1 << 7 * (more + 1)) - 1 else number


def last_step(stamps: NDArray[np.float64]) -> float:
    """Seconds from frame to frame at the end of a video, holes apart; 0 where there is one frame only."""
    steps = np.diff(stamps[-_TAIL:])
    return float(steps[steps <= 1.5 * np.median(steps)].mean()) if len(steps) else 0.0


def cut_off(stamps: NDArray[np.float64], end: float) -> int:
    """How many frames are missing at the end of a video that should last longer than it does.

    Args:
        stamps: When the frames that are there are shown, in seconds, in order, (N,).
        end: When the video should end, in seconds.

    Returns:
        0 unless more time is missing than between any two frames: a variable rate must not look like a loss.
    """
    if not len(stamps) or np.isnan(stamps).any():
        return 0
    step = last_step(stamps)
    if step == 0 or end - stamps[-1] <= 1.5 * np.diff(stamps).max():
        return 0
    # Counted from before the last frames: some that are shown between those may be lost as well.
    tail = stamps[-_TAIL:]
    return max(1, round(float(end - tail[0]) / step) - len(tail))
