"""FramesDataModule: what all data modules share: splits, frames in memory, loaders, augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import cv2
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch.utils.data import DataLoader

from datamodules.clips import Clip, ClipFrames, ClipMasks, read_frames, read_masks
from datamodules.dataset import FrameDataset
from datamodules.progress import progress
from datamodules.transforms import DeviceAugmentation, FrameAugmentation

Split = Literal["train", "val", "test"]
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


class FramesDataModule(pl.LightningDataModule):
    """Base of all data modules; a dataset only says which clips each split holds (:meth:`split_clips`).

    A batch is a dict of ``image`` (float32 (B, 3, h, w), RGB in [0, 1], at the working size), ``clip`` (list of B
    strings) and ``index`` (int64 (B,), original frame numbers). Validation and test batches add, if that split has
    any annotation, ``mask`` (bool (B, 1, H, W) at the evaluation size ``image_size``) and ``annotated`` (bool (B,);
    where False the mask is all False and must be ignored). Training never sees a mask.

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
        self._frames: dict[str, ClipFrames] = {}
        self._masks: dict[str, ClipMasks] = {}
        self._said: set[str] = set()

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
                raise ValueError(f"The {split} split of {type(self).__name__} is empty: give it at least one clip.")
        every = {clip.name: clip for split in wanted for clip in clips[split]}
        self._read([clip for name, clip in every.items() if name not in self._frames])
        for split in wanted:
            frames = [self._frames[clip.name] for clip in clips[split]]
            if split == "train":
                dataset = FrameDataset(frames, transform=FrameAugmentation() if self.augment else None)
            else:
                dataset = FrameDataset(frames, [self._clip_masks(clip) for clip in clips[split]])
            self._datasets[split] = dataset
            annotated = f", {dataset.annotated_frames} annotated" if split != "train" else ""
            self.say(f"{type(self).__name__} {split}: {len(frames)} clips, {len(dataset)} frames{annotated}.")

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Shuffled, augmented frames; a short last batch is dropped unless it is the only one."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """All validation frames in order."""
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
            dataset,
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
            tasks = [pool.submit(read_frames, clip, self.working_size, tick) for clip in clips]
            try:
                for task in tasks:
                    frames = task.result()
                    self._frames[frames.name] = frames
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _clip_masks(self, clip: Clip) -> ClipMasks:
        if clip.name not in self._masks:
            self._masks[clip.name] = read_masks(clip, self._frames[clip.name].indices, self.image_size)
        return self._masks[clip.name]


def _single_thread(_worker: int) -> None:
    """Keep OpenCV from starting threads of its own in every loader worker."""
    cv2.setNumThreads(0)
