"""Overlays: frames with their subjects tinted, as pictures and as a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from backdrop.files import whole_file
from callbacks.pictures.panels import subject_colour
from experiments.prediction.predictor import Found, Pixels

EDGE = (255, 255, 255)


def draw(image: Pixels, found: Sequence[Found], threshold: float) -> Pixels:
    """Tint the subjects, each in a colour of its own, and draw their outlines and boxes.

    Args:
        image: RGB, (H, W, 3).
        found: The subjects of this frame.
        threshold: Mask values from here on count as subject.

    Returns:
        The overlay, same size.
    """
    painted: Any = image
    thickness = max(1, round(min(image.shape[:2]) / 240))
    for number, subject in reversed(list(enumerate(found))):  # the surest on top
        colour = subject_colour(number)
        inside = (subject.mask >= threshold).astype(np.uint8)
        strength = (0.5 * subject.mask * inside)[..., None]
        tint = np.asarray(colour, dtype=np.float32)
        painted = (painted * (1 - strength) + tint * strength).round().astype(np.uint8)
        outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(painted, outlines, -1, EDGE, thickness)
        x0, y0, x1, y1 = (round(value) for value in subject.box)
        cv2.rectangle(painted, (x0, y0), (x1 - 1, y1 - 1), colour, thickness)
    return np.asarray(painted, dtype=np.uint8)


@contextmanager
def video_writer(path: Path, rate: float) -> Iterator[Callable[[Pixels], None]]:
    """Write frames as an H.264 mp4 of the same size; the file appears under its name when it is complete.

    Args:
        path: The mp4 file.
        rate: Frames per second.

    Yields:
        A function that adds one frame, RGB, (H, W, 3).
    """
    with whole_file(path) as part, av.open(str(part), "w", format="mp4") as file:
        stream: Any = None

        def write(image: Pixels) -> None:
            nonlocal stream
            height, width = image.shape[:2]
            if stream is None:
                options = {"crf": "18", "preset": "veryfast"}
                stream = file.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001), options=options)
                stream.width, stream.height = width, height
                # 4:2:0, which every player shows, cannot hold an odd number of pixels
                stream.pix_fmt = "yuv420p" if width % 2 == 0 and height % 2 == 0 else "yuv444p"
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")):
                file.mux(packet)

        yield write
        for packet in stream.encode() if stream is not None else ():
            file.mux(packet)
