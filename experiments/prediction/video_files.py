"""What is drawn for a video, as a video in step with it: its times, its sound and the shape of its pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from backdrop.files import whole_file
from datamodules.readers import Pixels, TimedFrame, VideoFrames, video_rate
from datamodules.readers.video_file import open_video
from experiments.prediction.sound import Sound

_BT709 = 1  # ITU-T H.273, matrix coefficients
_CLOCK = Fraction(1, 90000)  # seconds: of videos with one that is finer than players take


@dataclass(frozen=True)
class Kind:
    """How pictures are encoded.

    Attributes:
        container: FFmpeg's name of the file's format.
        encoder: And of the encoder.
        options: What it is told.
        pixels: Format of the pictures that are written: ``rgb24``, or ``rgba`` with straight alpha.
        stored: Format of the pixels in the file.
    """

    container: str
    encoder: str
    options: dict[str, str]
    pixels: str
    stored: str


# With B-frames an mp4 of a variable rate would end before its last frame: it lasts as long as decoding does.
OVERLAY = Kind("mp4", "libx264", {"crf": "20", "preset": "ultrafast", "bf": "0"}, "rgb24", "yuv420p")
CUTOUT = Kind("mov", "prores_aw", {}, "rgba", "yuva444p10le")
"""ProRes 4444, whose alpha editors and FFmpeg read without being told."""
_PRORES_OF_ODD_WIDTH = "prores_ks"

Write = Callable[[Pixels, TimedFrame], None]
"""Adds the picture of a frame, (H, W, 3 or 4), after those before it."""


@contextmanager
def video_like(path: Path, video: VideoFrames, kind: Kind = OVERLAY) -> Iterator[Write]:
    """Write the pictures of a video's frames as a video, which appears under its name when it is complete.

    Each is shown when its frame is, also where the rate varies; pixels have the shape that they have in the video, and
    its sound is copied. What is said of its colours is BT.709, which is what they are.

    Args:
        path: The file.
        video: The video.
        kind: How pictures are encoded.

    Yields:
        A function that adds the picture of a frame.
    """
    rate = Fraction(video_rate(video.path)).limit_denominator(1001)
    clock = video.time_base if video.time_base >= _CLOCK else _CLOCK
    step = max(1, round(1 / rate / clock))
    with (
        whole_file(path) as part,
        av.open(str(part), "w", format=kind.container) as file,
        open_video(video.path) as source,
    ):
        begin = Fraction(source.start_time or 0, av.time_base)
        stream: Any = None
        sound: Any = None
        last = -step

        def write(image: Pixels, frame: TimedFrame) -> None:
            nonlocal stream, sound, last
            if stream is None:
                stream = _add_stream(file, kind, image, video, rate, clock)
                sound = Sound(source, file, begin)
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=kind.pixels).reformat(
                format=stream.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
            )
            start = last + step if frame.start is None else round((frame.start - begin) / clock)
            last = max(start, last + 1)  # an encoder takes no two frames at one time
            shown.pts, shown.time_base, shown.duration = last, clock, round(frame.length / clock) or step
            sound.write(until=last * clock)
            file.mux(stream.encode(shown))

        yield write
        if stream is not None:
            sound.write()
            file.mux(stream.encode())


def _add_stream(
    file: OutputContainer, kind: Kind, image: Pixels, video: VideoFrames, rate: Fraction, clock: Fraction
) -> VideoStream:
    """The stream of the pictures; ``rate`` is a hint."""
    encoder, options = kind.encoder, kind.options
    if encoder == CUTOUT.encoder and image.shape[1] % 2:  # which the faster encoder cannot hold
        encoder, options = _PRORES_OF_ODD_WIDTH, {"profile": "4444"}
    stream: Any = file.add_stream(encoder, rate=rate, options=options)
    stream.height, stream.width = image.shape[:2]
    # 4:2:0, which every player shows, cannot hold an odd number of pixels
    odd = kind.stored == "yuv420p" and (stream.width % 2 or stream.height % 2)
    stream.pix_fmt = "yuv444p" if odd else kind.stored
    context = stream.codec_context
    context.flags |= Flags.frame_duration
    context.time_base, context.sample_aspect_ratio = clock, video.pixel_aspect
    context.colorspace, context.color_range = _BT709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return cast(VideoStream, stream)
