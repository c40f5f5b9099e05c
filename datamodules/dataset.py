"""Frames in memory as a torch dataset: the batch contract of all data modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from datamodules.clips import ClipFrames, ClipMasks
from datamodules.readers import Pixels


class FrameDataset(Dataset[dict[str, Any]]):
    """All frames of some clips, in order.

    An item holds ``image`` (float32 (3, h, w), RGB in [0, 1]), ``clip`` (str) and ``index`` (original frame number).
    If masks are given, and any frame has one, it also holds ``mask`` (bool (1, H, W) at the evaluation size) and
    ``annotated`` (bool; where False the mask is all False and means nothing).

    Args:
        clips: The clips' frames.
        masks: Their masks, one per clip, or None for training.
        transform: Change of one uint8 RGB frame (h, w, 3), or None.
    """

    def __init__(
        self,
        clips: Sequence[ClipFrames],
        masks: Sequence[ClipMasks] | None = None,
        transform: Callable[[Pixels], Pixels] | None = None,
    ) -> None:
        self.clips = list(clips)
        self.masks = list(masks) if masks is not None and any(m.annotated.any() for m in masks) else None
        self.transform = transform
        self._ends = np.cumsum([len(clip.images) for clip in self.clips])

    @property
    def clip_names(self) -> list[str]:
        """Names of the clips, in order."""
        return [clip.name for clip in self.clips]

    @property
    def annotated_frames(self) -> int:
        """Number of frames that have a mask."""
        return sum(int(m.annotated.sum()) for m in self.masks) if self.masks is not None else 0

    def __len__(self) -> int:
        """Number of frames."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, item: int) -> dict[str, Any]:
        """One frame; see the class for its keys."""
        if not 0 <= item < len(self):
            raise IndexError(item)
        number = int(np.searchsorted(self._ends, item, side="right"))
        clip = self.clips[number]
        position = item - (int(self._ends[number]) - len(clip.images))
        image = clip.images[position]
        if self.transform is not None:
            image = self.transform(image)
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float().div_(255.0)  # (3, h, w)
        sample: dict[str, Any] = {"image": pixels, "clip": clip.name, "index": int(clip.indices[position])}
        if self.masks is not None:
            masks = self.masks[number]
            sample["mask"] = torch.from_numpy(masks[position])[None]  # (1, H, W)
            sample["annotated"] = bool(masks.annotated[position])
        return sample
