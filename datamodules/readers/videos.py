"""Video files as clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from datamodules.readers.first_frames import FirstFrames, undecodable
from datamodules.readers.packets import (
    DECODING_TIMES,
    Packets,
    cut_off,
    decoded_stamps,
    ends_early,
    last_step,
    read_packets,
    stated_end,
    stated_frames,
    time_remarks,
    wrong_part,
)
from datamodules.readers.remarks import Remark
from datamodules.readers.shown import shown_size, upright
from datamodules.readers.source import Broken, Keep, Pixels, file_identity
from datamodules.readers.video_file import best_stream, decode, open_video


@dataclass(frozen=True)
class TimedFrame:
    """A frame of a video with its time.

    Attributes:
        number: Original frame number.
        image: RGB, uint8, (H, W, 3), upright.
        start: When it is shown, in seconds on the clock of the file, which the sound has too; None where the file does
            not say.
        length: How long, in seconds; 0 where the file does not say.
    """

    number: int
    image: Pixels
    start: Fraction | None
    length: Fraction


class VideoFrames:
    """The frames of one video file, upright and mirrored as players show them, counted from 0.

    Of several video streams it is the largest; a cover, a thumbnail or a proxy is not the clip. Frames are numbered in
    the order of display; time stamps, and so a variable rate, play no part.

    Args:
        path: The video file.

    Attributes:
        time_base: What time stamps count, in seconds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no video stream that can be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with open_video(self.path) as file:
            stream = best_stream(file)
            self._container = file.format.name
            self.time_base = stream.time_base or Fraction(1, 1000)
            self._stated = stated_frames(file, stream)
            self._end = None if self._stated else stated_end(file, stream)

    def __len__(self) -> int:
        """Number of frames that the container says are shown; where it does not (Matroska), as many as it holds."""
        return self._stated or len(self._stamps)

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (original frame number, RGB uint8 (H, W, 3)) in order; see :meth:`FrameSource.frames`.

        A broken frame takes the number that is next when the decoder meets it, which for a video with frames out of
        order may be one or two too low; the numbers after it are right again.
        """
        return ((number, upright(frame, size)) for number, frame in self._decoded(keep, broken))

    def timed_frames(self, broken: Broken | None = None, keep: Keep | None = None) -> Iterator[TimedFrame]:
        """Yield frames in order, each with its time.

        Args:
            broken: As for :meth:`FrameSource.frames`, which says what is raised, too.
            keep: As there.
        """
        for number, frame in self._decoded(keep, broken):
            yield TimedFrame(number, upright(frame), self._start(number, frame), (frame.duration or 0) * self.time_base)

    def _start(self, number: int, frame: av.VideoFrame) -> Fraction | None:
        """When a frame is shown; see :class:`TimedFrame`."""
        stamp = frame.pts
        if self._container == DECODING_TIMES:
            known = number < len(self._stamps) and np.isfinite(self._stamps[number])
            stamp = round(self._stamps[number] / float(self.time_base)) if known else None
        return None if stamp is None else stamp * self.time_base

    def _decoded(self, keep: Keep | None, broken: Broken | None) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield (original frame number, frame as it is decoded) in order."""
        count = asked = 0
        read = False
        with open_video(self.path) as file:
            stream = best_stream(file)
            stream.thread_type = "AUTO"
            for decoded in decode(file, stream):
                wanted = keep is None or keep(count, count)
                asked += wanted
                if isinstance(decoded, av.error.FFmpegError):
                    if broken is None:
                        what = f"Cannot decode the video {self.path} after frame {count} ({decoded.strerror})"
                        raise ValueError(f"{what}: re-encode or replace it.") from decoded
                    if wanted:
                        broken(count, f"Cannot decode frame {count} of {self.path} ({decoded.strerror}).")
                elif wanted and decoded.is_corrupt and broken is not None:
                    broken(count, f"Frame {count} of {self.path} is damaged.")
                elif wanted:
                    read = True
                    yield count, decoded
                count += 1
        if not read and (count == 0 or (asked and broken is not None)):
            raise undecodable(self.path)
        if broken is not None:
            stated = f"{self._stated} frames" if self._stated else f"that it lasts {self._end or 0:.2f} s"
            lost = range(count, count + self._lost(count))
            kept = [number for number in lost if keep is None or keep(number, number)]
            if not kept and (lost or ends_early(self.path, self._container)):
                broken(count, f"{self.path} is cut off: frames from here on may be missing, the last one damaged.")
            if (at := self._wrong_part) is not None:
                broken(count, f"{self.path} is damaged at byte {at}, by its own check sum: frames may be wrong.")
            for number in kept:
                broken(number, f"{self.path} ends before it, though its header states {stated}.")

    def times(self) -> NDArray[np.float64]:
        """When every frame is shown, without decoding where the first frame needs no other; the rate may vary.

        Frames that the header states but the file does not hold, as it was cut, are taken to follow at the rate of the
        last ones.

        Returns:
            Seconds from the first frame, in order, (N,).

        Raises:
            OSError: If the disk fails.
            ValueError: If there are no time stamps.
        """
        stamps = self._stamps
        if not len(stamps) or np.isnan(stamps).any():
            raise ValueError(f"The video {self.path} has no time stamps: re-encode it, or sample it by every_nth.")
        more = self._lost(len(stamps))
        after = stamps[-1] + last_step(stamps) * np.arange(1, more + 1)
        return np.asarray(np.concatenate([stamps, after]) - stamps[0], dtype=np.float64)

    def _lost(self, count: int) -> int:
        """How many frames the header states beyond those that were met, broken ones among them."""
        if self._stated:
            return max(0, self._stated - count)
        return 0 if self._end is None else cut_off(self._stamps, self._end)

    @cached_property
    def _stamps(self) -> NDArray[np.float64]:
        """When each frame that the file holds is shown, seconds on the container's clock, in order, (N,)."""
        return decoded_stamps(self.path) if self._packets.cut_open else self._packets.stamps

    @cached_property
    def _packets(self) -> Packets:
        """What all packets say; the file is read for it."""
        return read_packets(self.path)

    @cached_property
    def _wrong_part(self) -> int | None:
        """See :func:`wrong_part`, for which the file is read."""
        return wrong_part(self.path, self._container)

    def identity(self) -> Iterator[str]:
        """The file, and the colour matrix that it does not say; see :meth:`FrameSource.identity`."""
        yield file_identity(self.path)
        if self._first.taken_for_hd:
            yield "BT.709"

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the upright first frame that can be read, in pixels."""
        return self._first.size

    def shown_size(self) -> tuple[int, int]:
        """(height, width) of the frames in square pixels: the shape that is seen."""
        return shown_size(self._first.size, self._first.pixel_aspect)

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel of the upright frames over its height."""
        return self._first.pixel_aspect

    def remarks(self) -> list[Remark]:
        """What is not as one would guess: of its first frames, of its cut and of its times."""
        return [*self._first.remarks(self.path), *time_remarks(self.path, lambda: self._packets)]

    @cached_property
    def _first(self) -> FirstFrames:
        """What the first frames that can be read tell."""
        return FirstFrames.of(self.path)
