"""A picture of what a data module holds: rows of frames with the outline of their masks, and their boxes."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.base import FramesDataModule
from datamodules.clips.splits import SPLITS, Split
from datamodules.dataset import FrameDataset
from datamodules.readers import Pixels, resize

ROWS = 6
"""Most clips on a sheet, unless another number is asked for."""

_OUTLINE = (255, 230, 0)
_BOX = (0, 220, 255)
_UNKNOWN = (128, 128, 128)


def contact_sheet(
    datamodule: FramesDataModule, rows: int = ROWS, columns: int = 6, width: int = 256
) -> NDArray[np.uint8]:
    """Draw frames of a data module, one clip per row with its name, subjects outlined (yellow) and boxed (blue).

    What the annotation does not know is outlined in grey.

    Where the data module makes more planes, a row of each follows with its name: of the plates, black where they show
    nothing, and of the evidence that is found with them; of motion, targets and trust.

    Args:
        datamodule: A data module after ``setup``; splits that are not set up are left out.
        rows: Largest number of clips, test and validation clips first; those with more planes before the others.
        columns: Frames per clip, evenly spaced.
        width: Width of one frame on the sheet in pixels.

    Returns:
        RGB, uint8, (height, columns * width, 3).

    Raises:
        RuntimeError: If no split has been set up.
    """
    size = (round(width * datamodule.image_size[0] / datamodule.image_size[1]), width)
    sets = [dataset for split in reversed(SPLITS) if (dataset := _ready(datamodule, split)) is not None]
    sets.sort(key=lambda dataset: len(dataset.planes) == 1)  # stable
    strips: list[NDArray[np.uint8]] = []
    seen: set[str] = set()
    for dataset in sets:
        for clip_index, clip in enumerate(dataset.clips):
            if len(seen) == rows or clip.name in seen:
                continue
            seen.add(clip.name)
            shown = np.linspace(0, len(clip) - 1, columns).round().astype(int).tolist()
            strip = np.concatenate([_frame(dataset, clip_index, position, size) for position in shown], axis=1)
            _write(strip, clip.name)
            strips.append(strip)
            if len(dataset.planes) > 1:
                for plane, more in _more_strips([dataset.read(clip_index, position) for position in shown], size):
                    _write(more, plane)
                    strips.append(more)
    if not strips:
        raise RuntimeError(f"{type(datamodule).__name__} holds no frames yet: call setup() first.")
    return np.concatenate(strips, axis=0)


def _ready(datamodule: FramesDataModule, split: Split) -> FrameDataset | None:
    try:
        return datamodule.dataset(split)
    except RuntimeError:
        return None


def _more_strips(frames: list[dict[str, Pixels]], size: tuple[int, int]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Name and strip of every plane of some frames beside the image; coverage has none, it blackens the plate."""
    for name in frames[0]:
        if name not in ("image", "covered"):
            cells = [frame[name] for frame in frames]
            if name == "plate":
                cells = [np.where(frame["covered"][..., None] > 127, frame[name], 0) for frame in frames]
            strip = np.concatenate([resize(cell, size) for cell in cells], axis=1)
            yield name, strip if strip.ndim == 3 else np.repeat(strip[..., None], 3, axis=2)


def _frame(dataset: FrameDataset, clip_index: int, position: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One frame with its annotation."""
    height, width = size
    cell = np.ascontiguousarray(resize(dataset.clips[clip_index].read([position])[0], size))
    if dataset.masks is not None and dataset.masks[clip_index].annotated[position]:
        masks = dataset.masks[clip_index]
        for mask, colour in ((~masks.known(position), _UNKNOWN), (masks[position], _OUTLINE)):
            shape = (resize(mask.astype(np.uint8) * 255, size) > 127).astype(np.uint8)
            outlines, _ = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(cell, outlines, -1, colour, 1, cv2.LINE_AA)
    if dataset.boxes is not None and np.isfinite(dataset.boxes[clip_index][position]).all():
        cx, cy, sx, sy = dataset.boxes[clip_index][position].tolist()
        first = (round((cx - sx + 1) / 2 * width), round((cy - sy + 1) / 2 * height))
        last = (round((cx + sx + 1) / 2 * width) - 1, round((cy + sy + 1) / 2 * height) - 1)
        cv2.rectangle(cell, first, last, _BOX, 1)
    return cell


def _write(strip: NDArray[np.uint8], name: str) -> None:
    """Write the name of a clip or a plane onto a dark ground in the upper left corner of its row, in place."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.42
    (width, height), below = cv2.getTextSize(name, font, scale, 1)
    cv2.rectangle(strip, (0, 0), (width + 7, height + below + 5), (0, 0, 0), -1)
    cv2.putText(strip, name, (4, height + 4), font, scale, (255, 255, 255), 1, cv2.LINE_AA)
