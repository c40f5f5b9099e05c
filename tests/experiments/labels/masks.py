"""Masks that formats lose: holes, an island in a hole, pieces, single pixels, lines, corners that touch, borders."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.labels.formats import FORMATS
from experiments.labels.frame import LabelledFrame, Subject
from experiments.labels.pictures import write_picture

Mask = NDArray[np.bool_]
SIZE = (60, 80)


def disc(y: int, x: int, radius: int) -> Mask:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)


def pixels(*places: tuple[int, int]) -> Mask:
    mask = np.zeros(SIZE, dtype=bool)
    mask[tuple(np.transpose(places))] = True
    return mask


def noise(seed: int, coarse: float) -> Mask:
    drawn = np.random.default_rng(seed).normal(size=SIZE).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), coarse) > 0)


RING = disc(30, 40, 20) & ~disc(30, 40, 9)
FRAME = ~np.pad(np.ones((SIZE[0] - 2, SIZE[1] - 2), dtype=bool), 1)
MASKS = {
    "disc": disc(30, 40, 20),
    "hole": RING,
    "two holes": disc(30, 40, 22) & ~disc(30, 30, 5) & ~disc(30, 50, 5),
    "island in a hole": RING | disc(30, 40, 4),
    "pieces": disc(15, 15, 9) | disc(40, 60, 12) | disc(50, 12, 4),
    "one pixel": pixels((30, 40)),
    "one pixel in a corner": pixels((0, 0)),
    "the last pixel": pixels((59, 79)),
    "a line and specks": pixels(*((20, x) for x in range(10, 30)), (5, 70), (50, 3), (51, 4)),
    "touching corners": pixels((20, 20), (21, 21), (22, 20), (21, 19)),
    "a hole of one pixel": disc(30, 40, 12) & ~pixels((30, 40)),
    "at the border": disc(0, 0, 20) | disc(59, 79, 15),
    "a line around the frame": FRAME,
    "everything": np.ones(SIZE, dtype=bool),
    "coarse noise": noise(0, 4),
    "fine noise": noise(1, 1),
}


def in_one_piece(mask: Mask) -> bool:
    """Whether its pixels hang together, corners included."""
    return bool(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] == 2)


def write(folder: Path, name: str, score: float | None = 0.75, suffix: str = ".jpg") -> Path:
    """All masks in one format, a frame of noise for each."""
    writer = FORMATS[name](folder / name, "cat")
    for number, mask in enumerate(MASKS.values(), start=1):
        frame = LabelledFrame(number, f"clip_{number:06d}", suffix, SIZE, (Subject(mask, score),))
        image = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        write_picture(image, [writer.folder / writer.pictures / frame.file])
        writer.add(frame)
    writer.close()
    return folder / name


def picture(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))
