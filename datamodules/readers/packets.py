"""The packets of a video, read without decoding: when its frames are shown, and how many were cut off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from datamodules.readers.video_file import best_stream, open_video, refuse_disk_fault

_TAIL = 32  # frames whose rate is that of the end of a video; decoders reorder fewer


@dataclass(frozen=True)
class Packets:
    """What the packets of a video say.

    Attributes:
        stamps: When each frame is shown, seconds on the container's clock, in order, (N,); NaN where it does not say.
        left_out: Number of packets beside them that players leave out.
    """

    stamps: NDArray[np.float64]
    left_out: int


def read_packets(path: Path) -> Packets:
    """Read all packets of a video, without decoding them.

    Args:
        path: The video file.

    Returns:
        What they say; of a file that is damaged, those before the damage.

    Raises:
        OSError: If the disk fails.
        ValueError: If the file is no video.
    """
    packets: list[tuple[int | None, int | None]] = []
    left_out = 0
    with open_video(path) as file:
        stream = best_stream(file)
        base = stream.time_base
        try:
            for packet in file.demux(stream):
                left_out += packet.is_discard
                if packet.size and not packet.is_discard:
                    packets.append((packet.pts, packet.dts))
        except av.error.FFmpegError as error:  # reading the frames will meet it again, and list what is lost
            refuse_disk_fault(path, error)
    # Some containers (AVI) have decoding times only, which are the times of display in another order.
    column = 1 if any(shown is None for shown, _ in packets) else 0
    stamps = [np.nan if pair[column] is None else pair[column] for pair in packets]
    return Packets(np.sort(np.asarray(stamps, dtype=np.float64)) * float(base or np.nan), left_out)


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
