"""PNG files by PyAV: little compressed, as fast as any, and where neither Pillow nor OpenCV is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from backdrop.files import naming
from backdrop.found import Pixels

_FORMATS = {1: "gray", 3: "rgb24", 4: "rgba"}


def save_png(path: Path, pixels: Pixels) -> None:
    """Write a PNG into a folder that nobody reads yet.

    Args:
        path: The file; its folder is made.
        pixels: Grey (H, W), RGB (H, W, 3), or RGBA (H, W, 4) with straight alpha.

    Raises:
        NotWritten: If the disk is full, or forbids it.
    """
    kind = _FORMATS[1 if pixels.ndim == 2 else pixels.shape[2]]
    encoder = av.codec.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt, encoder.time_base = kind, Fraction(1)
    encoder.options = {"compression_level": "1", "pred": "up"}
    packets = encoder.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=kind))
    content = b"".join(bytes(packet) for packet in [*packets, *encoder.encode(None)])
    with naming(path):
        try:
            path.write_bytes(content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
