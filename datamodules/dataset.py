"""Frames in memory as a torch dataset: the batch contract of all data modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from datamodules.clips import ClipFrames, ClipMasks
from datamodules.readers import Pixels


class FrameDataset(Dataset[dict[str, Any]]):
    """The frames of some clips, in order.

    An item holds ``image`` (float32 (3, h, w), RGB in [0, 1]), ``clip`` (str) and ``index`` (original frame number).
    If masks are given, and any frame has one, it also holds ``mask`` (bool (1, H, W) at the evaluation size) and
    ``annotated`` (bool; where False the mask is all False and means nothing). If boxes are given, and any frame has
    one, it also holds ``box`` (float32 (4,), (cx, cy, sx, sy) in [-1, 1]; NaN where the frame has none).

    If any frame has a mask or a box, the frames without are left out.

    Args:
        clips: The clips' frames.
        masks: Their masks, one per clip, or None for training.
        transform: Change of one uint8 RGB frame (h, w, 3), or None.
        boxes: Their boxes, (N, 4) for each clip, see :func:`datamodules.clips.read_boxes`, or None.
    """

    def __init__(
        self,
        clips: Sequence[ClipFrames],
        masks: Sequence[ClipMasks] | None = None,
        transform: Callable[[Pixels], Pixels] | None = None,
        boxes: Sequence[NDArray[np.float32]] | None = None,
    ) -> None:
        self.clips = list(clips)
        self.masks = list(masks) if masks is not None and any(m.annotated.any() for m in masks) else None
        self.boxes = list(boxes) if boxes is not None and any(np.isfinite(b).any() for b in boxes) else None
        self.transform = transform
        self._positions = [self._used(number) for number in range(len(self.clips))]
        self._ends = np.cumsum([len(positions) for positions in self._positions])

    def _used(self, number: int) -> NDArray[np.int64]:
        """Positions of a clip's frames that this data set yields."""
        used = np.full(len(self.clips[number].images), self.masks is None and self.boxes is None)
        if self.masks is not None:
            used |= self.masks[number].annotated
        if self.boxes is not None:
            used |= np.isfinite(self.boxes[number]).all(axis=1)
        return np.flatnonzero(used)

    @property
    def clip_names(self) -> list[str]:
        """Names of the clips, in order."""
        return [clip.name for clip in self.clips]

    @property
    def masked_frames(self) -> int:
        """Number of frames that have a mask."""
        return sum(self.clip_counts(number)[1] for number in range(len(self.clips)))

    @property
    def boxed_frames(self) -> int:
        """Number of frames that have a box."""
        return sum(self.clip_counts(number)[2] for number in range(len(self.clips)))

    def clip_counts(self, number: int) -> tuple[int, int, int]:
        """Frames that this data set yields of one clip, and how many of its frames have a mask and a box.

        Args:
            number: Position of the clip in :attr:`clips`.
        """
        masks = 0 if self.masks is None else int(self.masks[number].annotated.sum())
        boxes = 0 if self.boxes is None else int(np.isfinite(self.boxes[number]).all(axis=1).sum())
        return len(self._positions[number]), masks, boxes

    def __len__(self) -> int:
        """Number of frames."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, item: int) -> dict[str, Any]:
        """One frame; see the class for its keys."""
        if not 0 <= item < len(self):
            raise IndexError(item)
        number = int(np.searchsorted(self._ends, item, side="right"))
        clip = self.clips[number]
        positions = self._positions[number]
        position = int(positions[item - (int(self._ends[number]) - len(positions))])
        image = clip.images[position]
        if self.transform is not None:
            image = self.transform(image)
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float().div_(255.0)  # (3, h, w)
        sample: dict[str, Any] = {"image": pixels, "clip": clip.name, "index": int(clip.indices[position])}
        if self.masks is not None:
            masks = self.masks[number]
            sample["mask"] = torch.from_numpy(masks[position])[None]  # (1, H, W)
            sample["annotated"] = bool(masks.annotated[position])
        if self.boxes is not None:
            sample["box"] = torch.from_numpy(self.boxes[number][position].copy())  # (4,)
        return sample
