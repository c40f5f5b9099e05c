"""How one plane of a frame is kept on disk: as its bytes, as a JPEG file, or as bits."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from datamodules.clips.planes import Plane
from datamodules.readers import Pixels

Codec = Literal["raw", "jpeg"]
"""What a whole entry is kept as."""
PlaneCodec = Literal["raw", "jpeg", "bits"]
CODECS: tuple[Codec, ...] = ("raw", "jpeg")

JPEG_QUALITY = 95


def plane_codec(plane: Plane, codec: Codec) -> PlaneCodec:
    """How a plane is kept in an entry: in a ``jpeg`` one, planes that must be exact are ``bits``."""
    return "bits" if codec == "jpeg" and plane.exact else codec


def encode(image: Pixels, codec: PlaneCodec) -> Pixels:
    """Turn an array into a record.

    Args:
        image: uint8, (h, w, 3), RGB, or (h, w).
        codec: ``raw`` keeps every value; ``jpeg`` nearly, in about a seventh of the space; ``bits`` those of 0 and 255.

    Returns:
        The record, uint8, (bytes,).
    """
    if codec == "raw":
        return np.ascontiguousarray(image).reshape(-1)
    if codec == "bits":
        return np.packbits(image > 127)
    bgr = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(data, dtype=np.uint8).reshape(-1)


def decode(record: Pixels, codec: Literal["jpeg", "bits"], out: Pixels) -> bool:
    """Turn a record back into an array.

    Args:
        record: The record, uint8, (bytes,).
        codec: How it is kept.
        out: Where the array goes: uint8, (h, w, 3), RGB, or (h, w).

    Returns:
        Whether the record is whole and of that size.
    """
    if codec == "bits":
        if record.size != -(-out.size // 8):
            return False
        np.multiply(np.unpackbits(record, count=out.size).reshape(out.shape), np.uint8(255), out=out)
        return True
    image = cv2.imdecode(record, cv2.IMREAD_COLOR_RGB if out.ndim == 3 else cv2.IMREAD_GRAYSCALE)
    if image is None or image.shape != out.shape:
        return False
    out[...] = image
    return True
