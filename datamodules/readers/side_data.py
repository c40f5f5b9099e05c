"""What FFmpeg attaches to a decoded frame beside its pixels."""

from __future__ import annotations

from typing import cast

import av
from av.sidedata.sidedata import SideData, Type


def _unnamed(kind: type[Type], value: int) -> Type:
    """A member for a number that PyAV has no name for, as PyAV 19 makes it."""
    member = object.__new__(kind)
    member.__dict__.update(_name_=f"UNKNOWN_{value}", _value_=value)
    return member


# PyAV before 19 raises for all that is attached to a frame where it has no name for one of it. FFmpeg 8.1, which comes
# with PyAV 18.1, attaches the EXIF block of an image and of a frame of Motion JPEG.
if "EXIF" not in Type.__members__:
    setattr(Type, "_missing_", classmethod(_unnamed))  # noqa: B010


def display_matrix(frame: av.VideoFrame) -> bytes | None:
    """The display matrix of a frame (ISO/IEC 14496-12, 8.3.2), 3x3 of int32; None where it has none."""
    matrix = cast(SideData | None, frame.side_data.get("DISPLAYMATRIX"))
    return None if matrix is None else bytes(matrix)
