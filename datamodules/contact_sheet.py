"""A picture of what a data module holds: rows of frames with the outline of their masks, and their boxes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.base import SPLITS, FramesDataModule, Split
from datamodules.dataset import FrameDataset
from datamodules.plates.plates import unstacked
from datamodules.readers import resize

ROWS = 6
"""Most clips on a sheet, unless another number is asked for."""

_OUTLINE = (255, 230, 0)
_BOX = (0, 220, 255)


def contact_sheet(
    datamodule: FramesDataModule, rows: int = ROWS, columns: int = 6, width: int = 256
) -> NDArray[np.uint8]:
    """Draw frames of a data module, one clip per row with its name, subjects outlined (yellow) and boxed (blue).

    Where the data module makes background plates, a row of these follows, black where they show nothing,
    and one of the evidence that is found with them.

    Args:
        datamodule: A data module after ``setup``; splits that are not set up are left out.
        rows: Largest number of clips, test and validation clips first; those with plates before the others.
        columns: Frames per clip, evenly spaced.
        width: Width of one frame on the sheet in pixels.

    Returns:
        RGB, uint8, (height, columns * width, 3).

    Raises:
        RuntimeError: If no split has been set up.
    """
    size = (round(width * datamodule.image_size[0] / datamodule.image_size[1]), width)
    sets = [dataset for split in reversed(SPLITS) if (dataset := _ready(datamodule, split)) is not None]
    sets.sort(key=lambda dataset: dataset.plates is None)  # stable
    strips: list[NDArray[np.uint8]] = []
    seen: set[str] = set()
    for dataset in sets:
        for number, clip in enumerate(dataset.clips):
            if len(seen) == rows or clip.name in seen:
                continue
            seen.add(clip.name)
            shown = np.linspace(0, len(clip) - 1, columns).round().astype(int).tolist()
            strip = np.concatenate([_frame(dataset, number, position, size) for position in shown], axis=1)
            _write(strip, clip.name)
            strips.append(strip)
            if dataset.plates is not None:
                plates = [unstacked(dataset.plate(number, position)) for position in shown]
                behind = [resize(np.where(plate.covered[..., None], plate.pixels, 0), size) for plate in plates]
                found = [resize((plate.evidence * 255).astype(np.uint8), size) for plate in plates]
                strips.append(np.concatenate(behind, axis=1))
                strips.append(np.repeat(np.concatenate(found, axis=1)[..., None], 3, axis=2))
    if not strips:
        raise RuntimeError(f"{type(datamodule).__name__} holds no frames yet: call setup() first.")
    return np.concatenate(strips, axis=0)


def _ready(datamodule: FramesDataModule, split: Split) -> FrameDataset | None:
    try:
        return datamodule.dataset(split)
    except RuntimeError:
        return None


def _frame(dataset: FrameDataset, number: int, position: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One frame with its annotation."""
    height, width = size
    cell = np.ascontiguousarray(resize(dataset.clips[number].read([position])[0], size))
    if dataset.masks is not None and dataset.masks[number].annotated[position]:
        mask = resize(dataset.masks[number][position].astype(np.uint8) * 255, size) > 127
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(cell, outlines, -1, _OUTLINE, 1, cv2.LINE_AA)
    if dataset.boxes is not None and np.isfinite(dataset.boxes[number][position]).all():
        cx, cy, sx, sy = dataset.boxes[number][position].tolist()
        first = (round((cx - sx + 1) / 2 * width), round((cy - sy + 1) / 2 * height))
        last = (round((cx + sx + 1) / 2 * width) - 1, round((cy + sy + 1) / 2 * height) - 1)
        cv2.rectangle(cell, first, last, _BOX, 1)
    return cell


def _write(strip: NDArray[np.uint8], name: str) -> None:
    """Write a clip's name onto a dark ground in the upper left corner of its row, in place."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.42
    (width, height), below = cv2.getTextSize(name, font, scale, 1)
    cv2.rectangle(strip, (0, 0), (width + 7, height + below + 5), (0, 0, 0), -1)
    cv2.putText(strip, name, (4, height + 4), font, scale, (255, 255, 255), 1, cv2.LINE_AA)
