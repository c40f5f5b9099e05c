"""Generated footage for benchmarks: a subject walks over a textured scene, with the grain of a sensor."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.readers import Broken, Keep, Pixels
from datamodules.readers.video_file import best_stream

RATE = 25
_DRAWN = 64


def draw(frames: int, size: tuple[int, int], seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """Draw footage, one frame at a time.

    Args:
        frames: Number of frames.
        size: (height, width) in pixels.
        seed: Scene.

    Yields:
        RGB, uint8, (height, width, 3).
    """
    height, width = size
    rng = np.random.default_rng(seed)
    scene = np.full((height * 5 // 4, width * 5 // 4, 3), 128, np.float32)
    for cells in (4, 16, 64, 256):  # large shapes, and detail at every scale
        noise = rng.standard_normal((cells, cells, 3)).astype(np.float32)
        scene += cv2.resize(noise, scene.shape[1::-1], interpolation=cv2.INTER_CUBIC) * 60 / cells**0.3
    scene = np.clip(scene, 0, 255).astype(np.uint8)
    grain = np.clip(rng.standard_normal(scene.shape, dtype=np.float32) * 3 + 4, 0, 16).astype(np.uint8)
    for frame in range(frames):
        top, left = (int(span / 8 * (1 + np.sin(frame / 40 + turn))) for span, turn in ((height, 0), (width, 1)))
        image = scene[top : top + height, left : left + width].copy()
        centre = int(width * (0.5 + 0.3 * np.sin(frame / 50))), height // 2
        cv2.ellipse(image, centre, (width // 12, height // 4), 0, 0, 360, (200, 60, 40), -1, cv2.LINE_AA)
        y, x = rng.integers(0, height // 4), rng.integers(0, width // 4)
        yield np.asarray(cv2.add(image, grain[y : y + height, x : x + width]), dtype=np.uint8)


def encode(path: Path, frames: int, size: tuple[int, int], seed: int = 0) -> None:
    """Write footage as an H.264 file.

    Args:
        path: The file.
        frames: Number of frames.
        size: (height, width) in pixels, even.
        seed: Scene.
    """
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "20"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for image in draw(frames, size, seed):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())


def repeat(video: Path, path: Path, times: int) -> None:
    """Write a video that shows another one again and again; nothing is encoded anew.

    Args:
        video: The video to repeat.
        path: The new file.
        times: How often.
    """
    with av.open(str(path), "w") as target:
        stream = None
        for time in range(times):
            with av.open(str(video)) as source:
                original = best_stream(source)
                stream = stream or target.add_stream_from_template(original)
                assert original.duration is not None and original.time_base is not None
                for packet in source.demux(original):
                    if packet.dts is None or packet.pts is None:  # the mark of the end
                        continue
                    packet.pts += time * original.duration
                    packet.dts += time * original.duration
                    packet.stream = stream
                    target.mux(packet)


class DrawnFootage:
    """Generated footage as the source of a clip; see :class:`datamodules.readers.FrameSource`.

    Args:
        count: Number of frames.
        size: (height, width) in pixels.
    """

    def __init__(self, count: int, size: tuple[int, int]) -> None:
        self.count = count
        self.size = size

    def __len__(self) -> int:
        """Number of frames."""
        return self.count

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (frame number, RGB uint8 (H, W, 3)) in order, always of the source's own size; a few frames in turn."""
        return enumerate(islice(cycle(draw(_DRAWN, self.size)), self.count))

    def identity(self) -> Iterator[str]:
        """What the frames depend on."""
        yield f"{self.count} {self.size}"

    def original_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.size
