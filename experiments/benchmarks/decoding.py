"""Ways to load frames that decode a video each time: single frames in random order, and all of them in order."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.readers import Pixels, VideoFrames
from datamodules.readers.shown import upright
from datamodules.readers.video_file import best_stream

Size = tuple[int, int]
Reader = Callable[[int], Pixels]
"""Frame number -> RGB, uint8, (h, w, 3)."""
Opener = Callable[[Path, Size], Reader]
"""(video, (height, width) in pixels) -> what reads its frames."""


class Missing(RuntimeError):
    """A package that a way of loading frames needs is not there or does not work; the message says which."""


class VideoDataset(Dataset[Tensor]):
    """The frames of a video, each of which is decoded when it is asked for.

    Args:
        video: The video.
        size: (height, width) of the frames in pixels.
        frames: Number of frames.
        opener: Opens the video; called once in every process that reads.

    Raises:
        Missing: If a package that the opener needs is not there.
    """

    def __init__(self, video: Path, size: Size, frames: int, opener: Opener) -> None:
        self.video = video
        self.size = size
        self.frames = frames
        self.opener = opener
        self._read: Reader | None = None
        opener(video, size)  # what is missing is said here, not in a worker

    def __len__(self) -> int:
        """Number of frames."""
        return self.frames

    def __getitem__(self, item: int) -> Tensor:
        """One frame, uint8, (3, h, w)."""
        if self._read is None:
            self._read = self.opener(self.video, self.size)
        return torch.from_numpy(self._read(item)).permute(2, 0, 1)


def pyav_reader(video: Path, size: Size) -> Reader:
    """Seek to the key frame before a frame and decode from there, with PyAV and one thread."""
    file = av.open(str(video))
    stream = best_stream(file)
    times = sorted(packet.pts for packet in file.demux(stream) if packet.pts is not None)
    stream.codec_context.thread_count = 1

    def read(number: int) -> Pixels:
        file.seek(times[number], stream=stream, backward=True)
        frame = next(frame for frame in file.decode(stream) if frame.pts is not None and frame.pts >= times[number])
        return upright(frame, size)

    return read


def opencv_reader(video: Path, size: Size) -> Reader:
    """The same with OpenCV."""
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])

    def read(number: int) -> Pixels:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        return _scaled(capture.read()[1], size)

    return read


def torchcodec_reader(video: Path, size: Size) -> Reader:
    """The same with torchcodec, which scales the frames too.

    Raises:
        Missing: If it is not installed, or finds no FFmpeg.
    """
    decoder = _torchcodec(video, size, dimension_order="NHWC", num_ffmpeg_threads=1)
    return lambda number: np.asarray(decoder[number].numpy(), dtype=np.uint8)


def pyav_in_order(video: Path, size: Size) -> Iterator[object]:
    """Every frame of a video from its beginning, with our reader."""
    return VideoFrames(video).frames(size)


def opencv_in_order(video: Path, size: Size) -> Iterator[object]:
    """Every frame of a video from its beginning, with OpenCV."""
    capture = cv2.VideoCapture(str(video))
    while True:
        there, image = capture.read()
        if not there:
            return
        yield _scaled(image, size)


def torchcodec_in_order(video: Path, size: Size) -> Iterator[object]:
    """Every frame of a video from its beginning, with torchcodec, which scales it too.

    Raises:
        Missing: If it is not installed, or finds no FFmpeg.
    """
    # 0: as many threads as FFmpeg thinks fit, which is what PyAV and OpenCV do
    return iter(_torchcodec(video, size, num_ffmpeg_threads=0))


def _scaled(image: Pixels, size: Size) -> Pixels:
    """What OpenCV has read, BGR, as RGB of a size."""
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _torchcodec(video: Path, size: Size, **options: str | int) -> Any:  # noqa: ANN401  it may not be there
    """A decoder of torchcodec."""
    try:
        decoders, transforms = (importlib.import_module(f"torchcodec.{name}") for name in ("decoders", "transforms"))
        return decoders.VideoDecoder(str(video), transforms=[transforms.Resize(size)], **options)
    except ImportError:
        raise Missing("not installed") from None
    except (OSError, RuntimeError):  # in some versions when it is imported, in others when it is first used
        raise Missing("finds no FFmpeg") from None
