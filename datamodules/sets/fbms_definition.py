"""The definition file of a clip of FBMS-59: which value of a mask is which region, and which frame it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_DIGITS = 9
_COUNT = "total number of frames"


@dataclass(frozen=True)
class Labelled:
    """An annotated frame.

    Attributes:
        position: Of the frame in the clip, from 0.
        mask: The mask file.
        image: Name of the image that it was drawn on, without suffix.
    """

    position: int
    mask: Path
    image: str


@dataclass(frozen=True)
class Definition:
    """What a definition file says.

    Attributes:
        values: Of each region: its grey value, or red * 65536 + green * 256 + blue.
        frames: The annotated frames.
        count: How many frames the clip has, None where the file does not say it.
    """

    values: tuple[int, ...]
    frames: tuple[Labelled, ...]
    count: int | None


def read_definition(path: Path) -> Definition:
    """Read a definition file, in which a line that ends in a colon says what the next one is.

    ::

        Ground truth definition file; do not change!

        Total number of regions:
        2

        Scale of region 0:
        16777215
        ...
        Total number of labeled frames for this shot:
        1
        Frame number:
        0
        File name:
        bear01_0001_gt.ppm
        Input file name:
        bear01_0001.ppm

    Args:
        path: The file.

    Returns:
        What it says.

    Raises:
        ValueError: If something is missing or no number; the message names the file.
    """
    pairs = list(_pairs(path))
    counts = {label: _number(path, value) for label, value in pairs if label.startswith("total number")}
    values = tuple(_number(path, value) for label, value in pairs if label.startswith("scale of region"))
    positions = [_number(path, value) for label, value in pairs if label == "frame number"]
    masks = [value for label, value in pairs if label == "file name"]
    images = [value for label, value in pairs if label == "input file name"]
    regions = counts.get("total number of regions")
    labelled = next((count for label, count in counts.items() if "labeled frames" in label), None)
    if not values or regions != len(values) or {len(positions), len(masks), len(images)} != {labelled}:
        raise ValueError(f"{path} does not list the regions and frames that it counts: fetch it again.")
    rows = zip(positions, masks, images, strict=True)
    frames = tuple(Labelled(at, path.parent / Path(mask).name, Path(image).stem) for at, mask, image in rows)
    return Definition(values, frames, next((n for label, n in counts.items() if label.startswith(_COUNT)), None))


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """What stands before each colon, in lower case, and the line after it."""
    lines = filter(None, map(str.strip, path.read_text(encoding="latin-1").splitlines()))
    for label, value in pairwise(lines):
        if label.endswith(":"):
            yield label.removesuffix(":").lower(), value


def _number(path: Path, value: str) -> int:
    if not value.isdecimal() or len(value) > _DIGITS:
        raise ValueError(f"{path} has '{value[:40]}' where a number is expected: fetch it again.")
    return int(value)
