"""FramesDataModule: what all data modules share: splits, frames in memory, loaders, augmentation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch.utils.data import DataLoader, Subset

from datamodules.clips import Clip, ClipFrames, ClipMasks, read_boxes, read_frames, read_masks
from datamodules.dataset import FrameDataset
from datamodules.problems import Problem
from datamodules.progress import progress
from datamodules.readers import FrameSource
from datamodules.sampling import spread
from datamodules.transforms import DeviceAugmentation, FrameAugmentation

Split = Literal["train", "val", "test"]
Source = TypeVar("Source", bound=FrameSource)
SPLITS: tuple[Split, ...] = ("train", "val", "test")
_STAGES: dict[str | None, tuple[Split, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": (),
    None: SPLITS,
}
_DECODERS = 2
_LARGE_MEMORY = 16 * 2**30
_MANY_ANNOTATIONS = 1000  # from here on reading them takes long enough for a progress bar


class FramesDataModule(pl.LightningDataModule):
    """Base of all data modules; a dataset only says which clips each split holds (:meth:`split_clips`).

    A batch is a dict of ``image`` (float32 (B, 3, h, w), RGB in [0, 1], at the working size), ``clip`` (list of B
    strings) and ``index`` (int64 (B,), original frame numbers). Validation and test batches add, if that split has
    any mask, ``mask`` (bool (B, 1, H, W) at the evaluation size ``image_size``) and ``annotated`` (bool (B,); where
    False the mask is all False and must be ignored), and, if it has any box, ``box`` (float32 (B, 4), (cx, cy, sx, sy)
    in [-1, 1]; NaN where the frame has none). A split that has annotation yields its annotated frames only; one
    without yields them all. Training yields all frames, and never sees a mask or a box.

    Every frame is read once, in :meth:`setup`, scaled to the working size by area averaging, and kept in memory
    (h * w * 3 bytes each).

    Args:
        image_size: Evaluation size (height, width) in pixels: that of the masks.
        scale: Working size over evaluation size.
        batch_size: Frames in a batch.
        num_workers: Loader processes; 0 loads in the training process.
        augment: Whether training frames are augmented at all.
        device_augment: Whether the augmentation includes the zoom and shift that run on the device.

    Raises:
        ValueError: If a size, the scale or the batch size is not positive.
    """

    def __init__(
        self,
        image_size: tuple[int, int] = (360, 640),
        scale: float = 1.0,
        batch_size: int = 16,
        num_workers: int = 2,
        augment: bool = True,
        device_augment: bool = True,
    ) -> None:
        super().__init__()
        if min(image_size) < 1 or scale <= 0 or batch_size < 1:
            raise ValueError(
                f"image_size, scale and batch_size must be positive, got {tuple(image_size)}, {scale} and {batch_size}."
            )
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.scale = scale
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.augment = augment
        self.device_augmentation = DeviceAugmentation() if augment and device_augment else None
        self._datasets: dict[Split, FrameDataset] = {}
        self._frames: dict[Hashable, ClipFrames] = {}
        self._annotations: dict[Hashable, tuple[ClipMasks, NDArray[np.float32]]] = {}
        self._said: set[str] = set()
        self._unreadable: dict[str, Problem] = {}
        self._noticed: dict[Problem, None] = {}

    @property
    def working_size(self) -> tuple[int, int]:
        """Size (height, width) in pixels of the images in a batch."""
        height, width = self.image_size
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split, in order; each dataset says which.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not read yet.
        """
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Read the frames of the splits that a stage needs; what is in memory already is not read again.

        Args:
            stage: "fit", "validate", "test", "predict" (nothing) or None (all).

        Raises:
            ValueError: If a split is empty or a file cannot be read.
        """
        wanted = [split for split in _STAGES[stage] if split not in self._datasets]
        clips = {split: self.split_clips(split) for split in wanted}
        for split in wanted:
            if not clips[split]:
                why = next((f"nothing can be read; {p.reason}" for p in self._unreadable.values()), "")
                why = why or "give it at least one clip."
                raise ValueError(f"The {split} split of {type(self).__name__} is empty: {why}")
        found = {split: len(members) for split, members in clips.items()}
        clips = _without_the_unused(clips, self._frames)
        every = {clip.kept: clip for split in wanted for clip in clips[split]}
        self._read([clip for key, clip in every.items() if key not in self._frames])
        self._annotate([clip for split in wanted if split != "train" for clip in clips[split]])
        for split in wanted:
            frames = [self._frames[clip.kept] for clip in clips[split]]
            if split == "train":
                dataset = FrameDataset(frames, transform=FrameAugmentation() if self.augment else None)
            else:
                annotations = [self._annotations[clip.kept] for clip in clips[split]]
                dataset = FrameDataset(frames, [a[0] for a in annotations], None, [a[1] for a in annotations])
            self._datasets[split] = dataset
            parts = [f"{type(self).__name__} {split}: {len(frames)} clips", f"{len(dataset)} frames"]
            parts += [f"{dataset.masked_frames} with a mask"] if dataset.masks is not None else []
            parts += [f"{dataset.boxed_frames} with a box"] if dataset.boxes is not None else []
            left_out = found[split] - len(frames)
            parts += [f"{left_out} clips without any annotation left out"] if left_out else []
            self.say(f"{', '.join(parts)}.")

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Shuffled, augmented frames; a short last batch is dropped unless it is the only one."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """All validation frames, every batch spread over all clips: ``limit_val_batches`` then misses none of them."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[dict[str, Any]]:
        """All test frames in order."""
        return self._loader("test")

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Zoom and shift the frames of a training batch on their device."""
        if self.device_augmentation is not None and self.trainer is not None and self.trainer.training:
            batch["image"] = self.device_augmentation(batch["image"])
        return batch

    def dataset(self, split: Split) -> FrameDataset:
        """The frames of one split.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its dataset.

        Raises:
            RuntimeError: If :meth:`setup` has not been called for it.
        """
        if split not in self._datasets:
            raise RuntimeError(f"The {split} split is not read yet: call setup() of {type(self).__name__} first.")
        return self._datasets[split]

    def problems(self) -> list[Problem]:
        """What was noticed about the data so far; :meth:`setup` looks at more of them."""
        return [*self._unreadable.values(), *self._noticed]

    def open_source(self, name: str, opener: Callable[[], Source]) -> Source | None:
        """Open the frames of a clip for :meth:`split_clips`, or note that they cannot be read.

        Args:
            name: Name of the clip.
            opener: Opens them, and raises ValueError or FileNotFoundError where they cannot be read.

        Returns:
            The frames; None where the clip is to be left out.
        """
        try:
            return opener()
        except (FileNotFoundError, ValueError) as error:
            self._unreadable[name] = Problem(name, None, str(error))
            self.say(f"Clip '{name}' is left out: {error}")
            return None

    def notice(self, clip: str, frame: int | None, reason: str) -> None:
        """Keep a problem for :meth:`problems`.

        Args:
            clip: Name of the clip.
            frame: Original frame number; None if it concerns the whole clip.
            reason: What is wrong, and what was done about it.
        """
        self._noticed[Problem(clip, frame, reason)] = None

    def say(self, message: str) -> None:
        """Tell the user something, once per data module and on one process only.

        Args:
            message: One sentence.
        """
        if message not in self._said:
            self._said.add(message)
            rank_zero_info(message)

    def _loader(self, split: Split) -> DataLoader[dict[str, Any]]:
        dataset = self.dataset(split)
        train = split == "train"
        return DataLoader(
            Subset(dataset, spread(len(dataset), self.batch_size)) if split == "val" else dataset,
            batch_size=self.batch_size,
            shuffle=train,
            drop_last=train and len(dataset) >= self.batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_single_thread,
        )

    def _read(self, clips: Sequence[Clip]) -> None:
        """Read clips into memory, a few at a time, with a progress bar."""
        if not clips:
            return
        total = sum(len(clip) for clip in clips)
        height, width = self.working_size
        if total * height * width * 3 > _LARGE_MEMORY:
            rank_zero_warn(
                f"{total} frames of {width}x{height} need {total * height * width * 3 / 2**30:.0f} GiB of memory: "
                "lower scale or image_size, or use fewer frames."
            )
        with (
            progress(total or None, "Reading frames") as tick,
            ThreadPoolExecutor(_DECODERS) as pool,
        ):
            tasks = {clip.kept: pool.submit(read_frames, clip, self.working_size, tick) for clip in clips}
            try:
                for key, task in tasks.items():
                    self._frames[key] = task.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _annotate(self, clips: Sequence[Clip]) -> None:
        """Read the masks and boxes of clips whose frames are in memory."""
        missing = {clip.kept: clip for clip in clips if clip.kept not in self._annotations}
        total = sum(len(clip.masks) + len(clip.boxes) for clip in missing.values())
        with progress(total, "Reading annotations") if total >= _MANY_ANNOTATIONS else nullcontext(_silent) as tick:
            for key, clip in missing.items():
                indices = self._frames[key].indices
                masks = read_masks(clip, indices, self.image_size, tick)
                self._annotations[key] = masks, read_boxes(clip, indices, tick)


def _single_thread(_worker: int) -> None:
    """Keep OpenCV from starting threads of its own in every loader worker."""
    cv2.setNumThreads(0)


def _silent() -> None:
    """Count nothing."""


def _without_the_unused(
    clips: dict[Split, list[Clip]], in_memory: Collection[Hashable]
) -> dict[Split, list[Clip]]:
    """Leave out what a split does not use, so that it is not read either.

    Args:
        clips: Clips by split.
        in_memory: :attr:`Clip.kept` of the clips that have been read already.

    Returns:
        The clips by split. Training clips come without annotation unless they are evaluated too; in an evaluation
        split that has any annotation, clips without are gone and the others keep their annotated frames only.
    """
    evaluated = {clip.name for split, members in clips.items() if split != "train" for clip in members}
    used = dict(clips)
    if "train" in clips:
        used["train"] = [c if c.name in evaluated else replace(c, masks={}, boxes={}) for c in clips["train"]]
    whole = {*in_memory, *(clip.kept for clip in used.get("train", []))}
    for split, members in clips.items():
        annotated = [clip for clip in members if clip.annotated]
        if split != "train" and annotated:
            used[split] = [clip if clip.kept in whole else replace(clip, annotated_only=True) for clip in annotated]
    return used
