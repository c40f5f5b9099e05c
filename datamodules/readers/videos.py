"""Video files as clips."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from datamodules.readers.packets import (
    cut_off,
    decoded_stamps,
    ends_early,
    last_step,
    read_packets,
    stated_end,
    wrong_part,
)
from datamodules.readers.source import Broken, Keep, Pixels, file_identity, ignore
from datamodules.readers.video_file import best_stream, decode, open_video


class VideoFrames:
    """The frames of one video file, upright and mirrored as players show them, counted from 0.

    Of several video streams it is the largest; a cover, a thumbnail or a proxy is not the clip. Frames are numbered in
    the order of display; time stamps, and so a variable rate, play no part.

    Args:
        path: The video file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no video stream that can be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with open_video(self.path) as file:
            stream = best_stream(file)
            self._container = file.format.name
            cut = sum(entry.is_discard for entry in stream.index_entries)  # before where an edit list begins
            self._stated = max(0, int(stream.frames) - cut)
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
                    yield count, upright(decoded, size)
                count += 1
        if not read and (count == 0 or (asked and broken is not None)):
            raise ValueError(f"The video {self.path} has no frame that can be decoded: re-encode or replace it.")
        if broken is not None:
            stated = f"{self._stated} frames" if self._stated else f"that it lasts {self._end or 0:.2f} s"
            lost = self._lost(count)
            if not lost and ends_early(self.path, self._container) and (keep is None or keep(count, count)):
                broken(count, f"{self.path} is cut off: frames from here on may be missing, the last one damaged.")
            if (at := wrong_part(self.path, self._container)) is not None and (keep is None or keep(count, count)):
                broken(count, f"{self.path} is damaged at byte {at}, by its own check sum: frames may be wrong.")
            for number in range(count, count + lost):
                if keep is None or keep(number, number):
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
        packets = read_packets(self.path)
        return decoded_stamps(self.path) if packets.cut_open else packets.stamps

    def identity(self) -> Iterator[str]:
        """The file with its size and time of change; see :meth:`FrameSource.identity`."""
        yield file_identity(self.path)

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the upright first frame that can be read, in pixels."""
        _, image = next(self.frames(broken=ignore))
        return int(image.shape[0]), int(image.shape[1])


def upright(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> Pixels:
    """One decoded frame as players show it.

    It goes to planes of RGB in one step: FFmpeg makes packed RGB of scaled frames by whole numbers, two grey levels too
    dark, and drops half of the colours' width.

    Args:
        frame: The frame, with the display matrix of its file (ISO/IEC 14496-12, 8.3.2).
        size: Output (height, width) in pixels, by area averaging; None keeps the original size.

    Returns:
        RGB, uint8, (H, W, 3), turned and mirrored by the nearest of the eight ways that keep pixels whole.
    """
    matrix = cast(SideData | None, frame.side_data.get("DISPLAYMATRIX"))
    values = (1, 0, 0, 0, 1) if matrix is None else np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    # The pixel at (x, y) is shown at x * (x_of_x, y_of_x) + y * (x_of_y, y_of_y).
    x_of_x, y_of_x, _, x_of_y, y_of_y = values
    turned = abs(y_of_x) + abs(x_of_y) > abs(x_of_x) + abs(y_of_y)
    stored = (frame.height, frame.width)
    height, width = stored if size is None else size[::-1] if turned else size
    same = (height, width) == stored
    method = Interpolation.POINT | Interpolation.ACCURATE_RND if same else Interpolation.AREA
    image = frame.reformat(width, height, "gbrp", interpolation=method, threads=1).to_ndarray()
    if turned:
        image, x_of_x, y_of_y = image.swapaxes(0, 1), x_of_y, y_of_x
    return np.ascontiguousarray(image[:: -1 if y_of_y < 0 else 1, :: -1 if x_of_x < 0 else 1], dtype=np.uint8)
