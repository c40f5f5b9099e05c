"""How one frame is kept on disk: as its bytes, or as a JPEG file."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from datamodules.readers import Pixels

Codec = Literal["raw", "jpeg"]
CODECS: tuple[Codec, ...] = ("raw", "jpeg")

JPEG_QUALITY = 95


def encode(image: Pixels, codec: Codec) -> Pixels:
    """Turn a frame into a record.

    Args:
        image: RGB, uint8, (h, w, 3).
        codec: ``raw`` keeps every value, ``jpeg`` nearly, in about a seventh of the space.

    Returns:
        The record, uint8, (bytes,).
    """
    if codec == "raw":
        return np.ascontiguousarray(image).reshape(-1)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(data, dtype=np.uint8).reshape(-1)


def decode_jpeg(record: Pixels, out: Pixels) -> bool:
    """Turn a JPEG record into a frame.

    Args:
        record: The record, uint8, (bytes,).
        out: Where the frame goes: RGB, uint8, (h, w, 3).

    Returns:
        Whether the record is whole and of that size.
    """
    image = cv2.imdecode(record, cv2.IMREAD_COLOR_RGB)
    if image is None or image.shape != out.shape:
        return False
    out[...] = image
    return True
