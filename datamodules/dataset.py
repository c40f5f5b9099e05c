"""Stored frames as a torch dataset: the batch contract of all data modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from datamodules.clips.clip import ClipMasks
from datamodules.plates.evidence import plate_evidence
from datamodules.plates.plates import stacked, unstacked
from datamodules.readers import Pixels
from datamodules.store.entry import StoredClip


class FrameDataset(Dataset[dict[str, Any]]):
    """The frames of some clips, in order; they stay on disk until they are asked for.

    A batch holds ``image`` (uint8 (B, 3, h, w), RGB; its memory is that of (B, h, w, 3)), ``clip`` (list of B strings)
    and ``index`` (int64 (B,), original frame numbers). If masks are given, and any frame has one, it also holds
    ``mask`` (bool (B, 1, H, W) at the evaluation size) and ``annotated`` (bool (B,); where False the mask is all False
    and means nothing); and, if the masks tell several subjects apart, ``objects`` (uint8 (B, 1, H, W), the number of
    the subject at each pixel, not 0 exactly where ``mask``). If boxes are given, and any frame has one, it also holds
    ``box`` (float32 (B, 4), (cx, cy, sx, sy) in [-1, 1]; NaN where the frame has none). If plates are given it holds
    ``plate`` (uint8 (B, 3, 3h, w), see :func:`datamodules.plates.plates.stacked`). A single item is the same
    without the first axis.

    If any frame has a mask or a box, the frames without are left out.

    Frames leave the loader as bytes, a quarter of what numbers take; the data module makes float32 in [0, 1] of them
    on the device.

    Args:
        clips: The clips' frames.
        masks: Their masks, one per clip, or None for training.
        transform: Change of one uint8 RGB frame (h, w, 3), and of its plate alike, see
            :class:`datamodules.transforms.FrameAugmentation`; or None.
        boxes: Their boxes, (N, 4) for each clip, see :func:`datamodules.clips.clip.read_boxes`, or None.
        plates: Their background plates, see :mod:`datamodules.plates.plates`: of each clip one, or one for every frame;
            or None.
        measure: Measure the evidence of each frame, as its plate is that of a whole clip.
    """

    def __init__(
        self,
        clips: Sequence[StoredClip],
        masks: Sequence[ClipMasks] | None = None,
        transform: Callable[..., dict[str, Pixels]] | None = None,
        boxes: Sequence[NDArray[np.float32]] | None = None,
        plates: Sequence[StoredClip] | None = None,
        measure: bool = False,
    ) -> None:
        self.clips = list(clips)
        self.masks = list(masks) if masks is not None and any(m.annotated.any() for m in masks) else None
        self.boxes = list(boxes) if boxes is not None and any(np.isfinite(b).any() for b in boxes) else None
        self.several = self.masks is not None and any(masks.numbers for masks in self.masks)
        self.transform = transform
        self.measure = measure
        self.plates = list(plates) if plates is not None else None
        self._plate_positions = [self._paired(number) for number in range(len(self.plates or ()))]
        self._positions = [self._used(number) for number in range(len(self.clips))]
        self._ends = np.cumsum([len(positions) for positions in self._positions], dtype=np.int64)

    def _used(self, number: int) -> NDArray[np.int64]:
        """Positions of a clip's frames that this data set yields."""
        used = np.full(len(self.clips[number]), self.masks is None and self.boxes is None)
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

    def frame_names(self) -> list[tuple[str, int]]:
        """Clip and original frame number of every frame, in order."""
        places = zip(self.clips, self._positions, strict=True)
        return [(clip.name, int(clip.indices[at])) for clip, positions in places for at in positions]

    def frame_numbers(self, number: int) -> NDArray[np.int64]:
        """Original numbers of the frames that this data set yields of one clip, in order.

        Args:
            number: Position of the clip in :attr:`clips`.
        """
        return self.clips[number].indices[self._positions[number]]

    def plate(self, number: int, position: int) -> Pixels:
        """The plate of a frame with its evidence, uint8 (3h, w, 3), see :func:`datamodules.plates.plates.stacked`.

        Args:
            number: Position of the clip in :attr:`clips`.
            position: Position of the frame in its clip.

        Raises:
            ValueError: If there are no plates.
        """
        if self.plates is None:
            raise ValueError("This data set has no plates: set plates of its data module.")
        found: Pixels = self.plates[number].read([int(self._plate_positions[number][position])])[0]
        if self.measure:
            _measure(found, self.clips[number].read([position])[0])
        return found

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
        places = [self._place(item) for item in items]
        image = _empty((len(items), *self.clips[0].size, 3))
        pictures = {"image": image}
        if self.plates is not None:
            pictures["plate"] = _empty((len(items), *self.plates[0].size, 3))
        for at, (number, position) in enumerate(places):
            frame = {name: pixels[at].numpy() for name, pixels in pictures.items()}
            self.clips[number].read_into(position, frame["image"])
            if self.plates is not None:
                self.plates[number].read_into(int(self._plate_positions[number][position]), frame["plate"])
                if self.measure:
                    _measure(frame["plate"], frame["image"])
            if self.transform is not None:
                for name, changed in self.transform(**frame).items():
                    frame[name][...] = changed
        batch: dict[str, Any] = {
            **{name: pixels.permute(0, 3, 1, 2) for name, pixels in pictures.items()},  # (B, 3, h, w)
            "clip": [self.clips[number].name for number, _ in places],
            "index": torch.tensor([int(self.clips[number].indices[position]) for number, position in places]),
        }
        if self.masks is not None:
            masks = [self.masks[number][position] for number, position in places]
            batch["mask"] = torch.from_numpy(np.stack(masks)[:, None])  # (B, 1, H, W)
            batch["annotated"] = torch.tensor([bool(self.masks[n].annotated[position]) for n, position in places])
        if self.masks is not None and self.several:
            objects = [self.masks[number].objects(position) for number, position in places]
            batch["objects"] = torch.from_numpy(np.stack(objects)[:, None])  # (B, 1, H, W)
        if self.boxes is not None:
            batch["box"] = torch.from_numpy(np.stack([self.boxes[n][position] for n, position in places]))  # (B, 4)
        return batch

    def _paired(self, number: int) -> NDArray[np.int64]:
        """Positions of the plates of a clip's frames: all 0 where the camera stands still and there is one."""
        assert self.plates is not None
        frames, plates = self.clips[number], self.plates[number]
        if len(plates) == 1:
            return np.zeros(len(frames), dtype=np.int64)
        if not np.isin(frames.indices, plates.indices).all():
            missing = f"Not every frame of clip '{frames.name}' has a plate"
            raise ValueError(f"{missing}: delete {plates.folder} and start again.")
        return np.searchsorted(plates.indices, frames.indices).astype(np.int64)

    def _place(self, item: int) -> tuple[int, int]:
        """Number of the clip and position in it of a frame of this data set."""
        number = int(np.searchsorted(self._ends, item, side="right"))
        positions = self._positions[number]
        return number, int(positions[item - (int(self._ends[number]) - len(positions))])


def _measure(picture: Pixels, image: Pixels) -> None:
    """Write the evidence of a frame into the picture of the one plate of its clip."""
    plate = unstacked(picture)
    picture[...] = stacked(plate._replace(evidence=plate_evidence(image, plate.pixels, plate.covered)))


def finished(batch: Any) -> Any:  # noqa: ANN401  the loader expects a list here, which it gets only without us
    """The loader's ``collate_fn``: :meth:`FrameDataset.__getitems__` has made the batch already."""
    return batch


def single_thread(_worker: int) -> None:
    """Keep OpenCV from starting threads of its own in every loader worker."""
    cv2.setNumThreads(0)


def _empty(shape: tuple[int, ...]) -> Tensor:
    """Room for bytes; in a loader worker, memory that the training process shares, so that nothing is copied."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    shared = torch.UntypedStorage._new_shared(math.prod(shape))  # as torch's own default_collate does
    return torch.empty(0, dtype=torch.uint8).set_(shared).view(shape)
