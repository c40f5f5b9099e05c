"""Stored frames as a torch dataset: the batch contract of all data modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from datamodules.clips import ClipMasks
from datamodules.entry import StoredClip
from datamodules.readers import Pixels


class FrameDataset(Dataset[dict[str, Any]]):
    """All frames of some clips, in order; they stay on disk until they are asked for.

    A batch holds ``image`` (uint8 (B, 3, h, w), RGB; its memory is that of (B, h, w, 3)), ``clip`` (list of B strings)
    and ``index`` (int64 (B,), original frame numbers). If masks are given, and any frame has one, it also holds
    ``mask`` (bool (B, 1, H, W) at the evaluation size) and ``annotated`` (bool (B,); where False the mask is all False
    and means nothing). A single item is the same without the first axis.

    Frames leave the loader as bytes, a quarter of what numbers take; the data module makes float32 in [0, 1] of them
    on the device.

    Args:
        clips: The clips' frames.
        masks: Their masks, one per clip, or None for training.
        transform: Change of one uint8 RGB frame (h, w, 3), or None.
    """

    def __init__(
        self,
        clips: Sequence[StoredClip],
        masks: Sequence[ClipMasks] | None = None,
        transform: Callable[[Pixels], Pixels] | None = None,
    ) -> None:
        self.clips = list(clips)
        self.masks = list(masks) if masks is not None and any(m.annotated.any() for m in masks) else None
        self.transform = transform
        self._ends = np.cumsum([len(clip) for clip in self.clips], dtype=np.int64)

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
        return {key: values[0] for key, values in self.__getitems__([item]).items()}

    def __getitems__(self, items: Sequence[int]) -> dict[str, Any]:
        """A finished batch; the loader calls this instead of collecting single items.

        Args:
            items: Positions in the dataset.

        Returns:
            The batch; see the class for its keys.
        """
        numbers = np.searchsorted(self._ends, items, side="right").tolist()
        places = [
            (number, item - int(self._ends[number]) + len(self.clips[number]))
            for number, item in zip(numbers, items, strict=True)
        ]
        image = _empty((len(items), *self.clips[0].size, 3))
        for pixels, (number, position) in zip(image.numpy(), places, strict=True):
            self.clips[number].read_into(position, pixels)
            if self.transform is not None:
                pixels[...] = self.transform(pixels)
        batch: dict[str, Any] = {
            "image": image.permute(0, 3, 1, 2),  # (B, 3, h, w)
            "clip": [self.clips[number].name for number, _ in places],
            "index": torch.tensor([int(self.clips[number].indices[position]) for number, position in places]),
        }
        if self.masks is not None:
            masks = [self.masks[number][position] for number, position in places]
            batch["mask"] = torch.from_numpy(np.stack(masks)[:, None])  # (B, 1, H, W)
            batch["annotated"] = torch.tensor([bool(self.masks[n].annotated[position]) for n, position in places])
        return batch


def finished(batch: Any) -> Any:  # noqa: ANN401  the loader expects a list here, which it gets only without us
    """The loader's ``collate_fn``: :meth:`FrameDataset.__getitems__` has made the batch already."""
    return batch


def _empty(shape: tuple[int, ...]) -> Tensor:
    """Room for bytes; in a loader worker, memory that the training process shares, so that nothing is copied."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    shared = torch.UntypedStorage._new_shared(math.prod(shape))  # as torch's own default_collate does
    return torch.empty(0, dtype=torch.uint8).set_(shared).view(shape)
