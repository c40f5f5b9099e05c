"""Stored frames as a torch dataset: the batch contract of all data modules."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, get_worker_info

from backdrop.contracts import Batch
from datamodules.clips.annotations import ClipMasks
from datamodules.clips.planes import Plane
from datamodules.clips.sampling import spread
from datamodules.clips.splits import Split
from datamodules.order import Sample, TrainingOrder
from datamodules.plates.evidence import plate_evidence
from datamodules.plates.plate import COVERED, EVIDENCE, PLATE, evidence_bytes
from datamodules.readers import Pixels
from datamodules.store.entry import StoredClip


class FrameDataset(Dataset[Batch]):
    """The frames of some clips, in order; they stay on disk until they are asked for.

    A batch holds ``image`` (uint8 (B, 3, h, w), RGB; its memory is that of (B, h, w, 3)), ``clip`` (list of B strings)
    and ``index`` (int64 (B,), original frame numbers). If masks are given, and any frame has one, it also holds
    ``mask`` (bool (B, 1, H, W) at the evaluation size) and ``annotated`` (bool (B,); where False the mask is all False
    and means nothing); and, if the masks tell several subjects apart, ``objects`` (uint8 (B, 1, H, W), the number of
    the subject at each pixel, not 0 exactly where ``mask``); and, if the masks do not say of all pixels what they are,
    ``known`` (bool (B, 1, H, W), where they do). If boxes are given, and any frame has one, it also holds
    ``box`` (float32 (B, 4), (cx, cy, sx, sy) in [-1, 1]; NaN where the frame has none). If more planes are given it
    holds each by its name (uint8 (B, 3, h, w) or (B, 1, h, w), see :class:`datamodules.clips.planes.Plane`). A single
    item is the same without the first axis.

    If any frame has a mask or a box, the frames without are left out.

    Frames leave the loader as bytes, a quarter of what numbers take; the data module makes float32 in [0, 1] of them
    on the device.

    Args:
        clips: The clips' frames.
        masks: Their masks, one per clip, or None for training.
        transform: Change of one uint8 RGB frame (h, w, 3), and of its other planes alike, by a seed, see
            :class:`datamodules.transforms.FrameAugmentation`; or None.
        boxes: Their boxes, (N, 4) for each clip, see :func:`datamodules.clips.annotations.read_boxes`, or None.
        planes: More planes: for each of their producers one entry per clip, with a row for every frame, or a single
            row for all of them. Where there are plates without evidence, as those of whole clips are, the evidence of
            each frame is measured when it is read.
    """

    def __init__(
        self,
        clips: Sequence[StoredClip],
        masks: Sequence[ClipMasks] | None = None,
        transform: Callable[..., dict[str, Pixels]] | None = None,
        boxes: Sequence[NDArray[np.float32]] | None = None,
        planes: Sequence[Sequence[StoredClip]] = (),
    ) -> None:
        self.clips = list(clips)
        self.masks = list(masks) if masks is not None and any(m.annotated.any() for m in masks) else None
        self.boxes = list(boxes) if boxes is not None and any(np.isfinite(b).any() for b in boxes) else None
        self.several = self.masks is not None and any(masks.numbers for masks in self.masks)
        self.partial = self.masks is not None and any(masks.unknown for masks in self.masks)
        self.transform = transform
        others = zip(clips, *planes, strict=True)
        self._more = [[(entry, _rows(clip, entry)) for entry in entries] for clip, *entries in others]
        stored = [plane for entry, _ in (self._more[0] if self._more else ()) for plane in entry.planes]
        self.planes = [Plane("image", colour=True), *(Plane(plane.name, plane.colour) for plane in stored)]
        names = [plane.name for plane in stored]
        self._measures = PLATE.name in names and EVIDENCE.name not in names
        self.planes += [EVIDENCE] if self._measures else []
        self._positions = [self._used(clip_index) for clip_index in range(len(self.clips))]
        self._ends = np.cumsum([len(positions) for positions in self._positions], dtype=np.int64)

    def _used(self, clip_index: int) -> NDArray[np.int64]:
        """Positions of a clip's frames that this data set yields."""
        used = np.full(len(self.clips[clip_index]), self.masks is None and self.boxes is None)
        if self.masks is not None:
            used |= self.masks[clip_index].annotated
        if self.boxes is not None:
            used |= np.isfinite(self.boxes[clip_index]).all(axis=1)
        return np.flatnonzero(used)

    @property
    def clip_names(self) -> list[str]:
        """Names of the clips, in order."""
        return [clip.name for clip in self.clips]

    @property
    def kept(self) -> list[str]:
        """Names of the store's entries that are read, clip by clip; other frames, plates and targets have others."""
        pairs = zip(self.clips, self._more, strict=True)
        return [entry.folder.name for clip, more in pairs for entry in (clip, *(entry for entry, _ in more))]

    @property
    def masked_frames(self) -> int:
        """Number of frames that have a mask."""
        return sum(self.clip_counts(clip_index)[1] for clip_index in range(len(self.clips)))

    @property
    def boxed_frames(self) -> int:
        """Number of frames that have a box."""
        return sum(self.clip_counts(clip_index)[2] for clip_index in range(len(self.clips)))

    def clip_counts(self, clip_index: int) -> tuple[int, int, int]:
        """Frames that this data set yields of one clip, and how many of its frames have a mask and a box.

        Args:
            clip_index: Position of the clip in :attr:`clips`.
        """
        masks = 0 if self.masks is None else int(self.masks[clip_index].annotated.sum())
        boxes = 0 if self.boxes is None else int(np.isfinite(self.boxes[clip_index]).all(axis=1).sum())
        return len(self._positions[clip_index]), masks, boxes

    def frame_names(self) -> list[tuple[str, int]]:
        """Clip and original frame number of every frame, in order."""
        places = zip(self.clips, self._positions, strict=True)
        return [(clip.name, int(clip.frame_numbers[at])) for clip, positions in places for at in positions]

    def frame_numbers(self, clip_index: int) -> NDArray[np.int64]:
        """Original numbers of the frames that this data set yields of one clip, in order.

        Args:
            clip_index: Position of the clip in :attr:`clips`.
        """
        return self.clips[clip_index].frame_numbers[self._positions[clip_index]]

    def read(self, clip_index: int, position: int) -> dict[str, Pixels]:
        """All planes of a frame by name, as they are kept, uint8, (h, w, 3) or (h, w).

        Args:
            clip_index: Position of the clip in :attr:`clips`.
            position: Position of the frame in its clip.
        """
        found: dict[str, Pixels] = {p.name: np.empty(p.shape(self.clips[0].size), np.uint8) for p in self.planes}
        self._read_into(clip_index, position, found)
        return found

    def means(self, plane: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """The mean of a stored plane over each frame, clip by clip.

        Args:
            plane: Its name.

        Yields:
            Name of the clip, and the mean of each of its frames, (N,), in [0, 1].
        """
        for clip, positions, planes in zip(self.clips, self._positions, self._more, strict=True):
            entry, rows = next((entry, rows) for entry, rows in planes if plane in {kept.name for kept in entry.planes})
            values = [entry.read([int(rows[position])], plane).mean() / 255 for position in positions]
            yield clip.name, np.asarray(values, np.float32)

    def __len__(self) -> int:
        """Number of frames."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, item: int) -> Batch:
        """One frame; see the class for its keys."""
        if not 0 <= item < len(self):
            raise IndexError(item)
        batch: dict[str, Any] = {**self.__getitems__([item])}
        return cast(Batch, {key: values[0] for key, values in batch.items()})

    def __getitems__(self, items: Sequence[int | Sample]) -> Batch:
        """A finished batch; the loader calls this instead of collecting single items.

        Args:
            items: Positions in the dataset, each perhaps with the seed of its change.

        Returns:
            The batch; see the class for its keys.
        """
        samples = [item if isinstance(item, Sample) else Sample(item) for item in items]
        places = [self._place(sample.position) for sample in samples]
        size = self.clips[0].size
        pixels = {plane.name: _empty((len(items), *plane.shape(size))) for plane in self.planes}
        for at, (sample, (clip_index, position)) in enumerate(zip(samples, places, strict=True)):
            frame = {name: rows[at].numpy() for name, rows in pixels.items()}
            self._read_into(clip_index, position, frame)
            if self.transform is not None:
                for name, changed in self.transform(sample.seed, **frame).items():
                    frame[name][...] = changed
        batch: dict[str, Any] = {
            **{name: rows.permute(0, 3, 1, 2) if rows.ndim == 4 else rows[:, None] for name, rows in pixels.items()},
            "clip": [self.clips[clip_index].name for clip_index, _ in places],
            "index": torch.tensor([int(self.clips[clip_index].frame_numbers[at]) for clip_index, at in places]),
        }
        if self.masks is not None:
            masks = [self.masks[clip_index][at] for clip_index, at in places]
            batch["mask"] = torch.from_numpy(np.stack(masks)[:, None])  # (B, 1, H, W)
            batch["annotated"] = torch.tensor([bool(self.masks[index].annotated[at]) for index, at in places])
        if self.masks is not None and self.several:
            objects = [self.masks[clip_index].objects(at) for clip_index, at in places]
            batch["objects"] = torch.from_numpy(np.stack(objects)[:, None])  # (B, 1, H, W)
        if self.masks is not None and self.partial:
            known = [self.masks[clip_index].known(at) for clip_index, at in places]
            batch["known"] = torch.from_numpy(np.stack(known)[:, None])  # (B, 1, H, W)
        if self.boxes is not None:
            batch["box"] = torch.from_numpy(np.stack([self.boxes[index][at] for index, at in places]))  # (B, 4)
        return cast(Batch, batch)

    def _read_into(self, clip_index: int, position: int, out: Mapping[str, Pixels]) -> None:
        """Read all planes of a frame."""
        self.clips[clip_index].read_into(position, out["image"])
        for entry, rows in self._more[clip_index]:
            for plane in entry.planes:
                entry.read_into(int(rows[position]), out[plane.name], plane.name)
        if self._measures:
            evidence = plate_evidence(out["image"], out[PLATE.name], out[COVERED.name] > 127)
            out[EVIDENCE.name][...] = evidence_bytes(evidence)

    def _place(self, item: int) -> tuple[int, int]:
        """Position of the clip, and position in it, of a frame of this data set."""
        clip_index = int(np.searchsorted(self._ends, item, side="right"))
        positions = self._positions[clip_index]
        return clip_index, int(positions[item - (int(self._ends[clip_index]) - len(positions))])


def _rows(frames: StoredClip, entry: StoredClip) -> NDArray[np.int64]:
    """Where the planes of a clip's frames are in another entry: all at 0 where it has one row for the whole clip."""
    if len(entry) == 1:
        return np.zeros(len(frames), dtype=np.int64)
    if not np.isin(frames.frame_numbers, entry.frame_numbers).all():
        raise ValueError(
            f"{entry.folder} lacks the {entry.planes[0].name} of a frame of clip '{frames.name}': delete that folder "
            "and start again."
        )
    return np.searchsorted(entry.frame_numbers, frames.frame_numbers).astype(np.int64)


def frame_loader(
    dataset: FrameDataset, split: Split, batch_size: int, num_workers: int, order: TrainingOrder | None = None
) -> DataLoader[Batch]:
    """The loader of one split.

    Args:
        dataset: Its frames.
        split: In training, a short last batch is dropped unless it is the only one; in validation every batch is
            spread over all clips; a test has them in order.
        batch_size: Frames in a batch.
        num_workers: Loader processes; 0 loads in this one.
        order: The order to train in.
    """
    return DataLoader(
        Subset(dataset, spread(len(dataset), batch_size)) if split == "val" else dataset,
        batch_size=batch_size,
        sampler=order,
        drop_last=order is not None and len(order) >= batch_size,
        num_workers=num_workers,
        collate_fn=finished,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=begin_worker,
    )


def finished(batch: Any) -> Any:  # noqa: ANN401  the loader expects a list here, which it gets only without us
    """The loader's ``collate_fn``: :meth:`FrameDataset.__getitems__` has made the batch already."""
    return batch


def begin_worker(_worker: int) -> None:
    """Keep OpenCV from starting threads of its own in every loader worker, and leave signals to the main process.

    Ctrl-C reaches the workers too, and so may SIGTERM: without them the step that is under way could not be ended.
    """
    cv2.setNumThreads(0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _empty(shape: tuple[int, ...]) -> Tensor:
    """Room for bytes; in a loader worker, memory that the training process shares, so that nothing is copied."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    shared = torch.UntypedStorage._new_shared(math.prod(shape))  # as torch's own default_collate does
    return torch.empty(0, dtype=torch.uint8).set_(shared).view(shape)
