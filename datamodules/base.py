"""FramesDataModule: what all data modules share: splits, the frame store, loaders, augmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Any, Literal, TypeVar

import cv2
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch.utils.data import DataLoader

from datamodules.clips import Clip, ClipMasks, read_masks
from datamodules.codecs import Codec
from datamodules.dataset import FrameDataset, finished
from datamodules.entry import StoredClip
from datamodules.memory import machine_memory
from datamodules.problems import Problem, summary, table
from datamodules.progress import progress
from datamodules.readers import FrameSource
from datamodules.store import FrameStore, StoreError, Use, default_folder, entry_name, gigabytes
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
_MEMORY_SHARE = 0.5


class FramesDataModule(pl.LightningDataModule):
    """Base of all data modules; a dataset only says which clips each split holds (:meth:`split_clips`).

    A batch is a dict of ``image`` (float32 (B, 3, h, w), RGB in [0, 1], at the working size), ``clip`` (list of B
    strings) and ``index`` (int64 (B,), original frame numbers). Validation and test batches add, if that split has
    any annotation, ``mask`` (bool (B, 1, H, W) at the evaluation size ``image_size``) and ``annotated`` (bool (B,);
    where False the mask is all False and must be ignored). Training never sees a mask.

    Frames leave the loaders as uint8; :meth:`on_after_batch_transfer` makes float32 of them on the device.

    Every clip is decoded once, scaled to the working size by area averaging, and kept in the frame store
    (datamodules/store.py), from which single frames are read in any order. Frames and clips that cannot be read are
    left out and listed (:meth:`problems`).

    Args:
        image_size: Evaluation size (height, width) in pixels: that of the masks.
        scale: Working size over evaluation size.
        batch_size: Frames in a batch.
        num_workers: Loader processes; 0 loads in the training process.
        augment: Whether training frames are augmented at all.
        device_augment: Whether the augmentation includes the zoom and shift that run on the device.
        store_dir: Folder of the frame store; None means $BACKDROP_CACHE or ~/.cache/backdrop.
        store_limit_gb: Most that it may hold, in GB of 10^9 bytes; the entries that were not used for longest make
            room. None means as far as the disk goes.
        store_codec: "raw" keeps frames as they are (h * w * 3 bytes each), "jpeg" at quality 95 (about a seventh);
            "auto" is raw where the frames of all splits fit half of this machine's memory and the limit.
        min_frames: Clips of which fewer frames can be read are left out.

    Raises:
        ValueError: If a size, the scale, the batch size, the limit or ``min_frames`` is not positive, or the codec is
            unknown.
    """

    def __init__(
        self,
        image_size: tuple[int, int] = (360, 640),
        scale: float = 1.0,
        batch_size: int = 16,
        num_workers: int = 2,
        augment: bool = True,
        device_augment: bool = True,
        store_dir: str | None = None,
        store_limit_gb: float | None = None,
        store_codec: Literal["auto", "raw", "jpeg"] = "auto",
        min_frames: int = 1,
    ) -> None:
        super().__init__()
        if min(image_size) < 1 or scale <= 0 or batch_size < 1:
            raise ValueError(
                f"image_size, scale and batch_size must be positive, got {tuple(image_size)}, {scale} and {batch_size}."
            )
        if (store_limit_gb is not None and store_limit_gb <= 0) or min_frames < 1:
            raise ValueError(f"store_limit_gb and min_frames must be positive, got {store_limit_gb} and {min_frames}.")
        if store_codec not in ("auto", "raw", "jpeg"):
            raise ValueError(f"There is no store_codec '{store_codec}': choose auto, raw or jpeg.")
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.scale = scale
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.augment = augment
        self.device_augmentation = DeviceAugmentation() if augment and device_augment else None
        limit = None if store_limit_gb is None else round(store_limit_gb * 1e9)
        self.store = FrameStore(Path(store_dir).expanduser() if store_dir else default_folder(), limit)
        self.min_frames = min_frames
        self._codec: Codec | None = None if store_codec == "auto" else store_codec
        self._stored: dict[str, StoredClip] = {}
        self._use: Use | None = None
        self._unreadable: dict[str, Problem] = {}
        self._datasets: dict[Split, FrameDataset] = {}
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

    def prepare_data(self) -> None:
        """Decode into the store what is not there yet, on one process per machine.

        Raises:
            OSError: If the disk of the frames fails.
            StoreError: If the store is full or must not be written.
        """
        fn = self.trainer.state.fn if self.trainer is not None else None
        self.prepare(_STAGES[fn.value if fn is not None else None])

    def prepare(self, splits: Sequence[Split] = SPLITS) -> str:
        """Decode the clips of some splits into the store; what is there already is left alone.

        Args:
            splits: The splits.

        Returns:
            One line: clips, frames and what was left out.

        Raises:
            OSError: If the disk of the frames fails.
            StoreError: If the store is full or must not be written.
            ValueError: If not one clip can be read.
        """
        clips = {clip.name: clip for split in splits for clip in self.split_clips(split)}
        self._store(list(clips.values()))
        usable = [clip for name in clips if len(clip := self._stored[name]) >= self.min_frames]
        if splits and not usable:
            raise ValueError(self._nothing_left("data"))
        frames, size = sum(len(clip) for clip in usable), sum(int(clip.offsets[-1]) for clip in usable)
        codecs = "/".join(sorted({clip.codec for clip in usable}))
        line = f"{len(usable)} clips, {frames} frames, {gigabytes(size)} ({codecs}) in {self.store.folder}"
        return f"{line}; {skipped}" if (skipped := self._skipped()) else line

    def setup(self, stage: str | None = None) -> None:
        """Open the frames of the splits that a stage needs, and decode those that are not in the store.

        Args:
            stage: "fit", "validate", "test", "predict" (nothing) or None (all).

        Raises:
            OSError: If the disk of the frames fails.
            StoreError: If the store is full or must not be written.
            ValueError: If a split is empty, or none of its clips can be read.
        """
        wanted = [split for split in _STAGES[stage] if split not in self._datasets]
        clips = {split: self.split_clips(split) for split in wanted}
        self._store(list({clip.name: clip for split in wanted for clip in clips[split]}.values()))
        for split in wanted:
            usable = [clip for clip in clips[split] if len(self._stored[clip.name]) >= self.min_frames]
            if not usable:
                raise ValueError(self._nothing_left(f"{split} split"))
            frames = [self._stored[clip.name] for clip in usable]
            if split == "train":
                dataset = FrameDataset(frames, transform=FrameAugmentation() if self.augment else None)
            else:
                dataset = FrameDataset(frames, [self._clip_masks(clip) for clip in usable])
            self._datasets[split] = dataset
            annotated = f", {dataset.annotated_frames} annotated" if split != "train" else ""
            self.say(f"{type(self).__name__} {split}: {len(frames)} clips, {len(dataset)} frames{annotated}.")
        if wanted and (skipped := self._skipped()) and skipped not in self._said:
            self._said.add(skipped)
            rank_zero_warn(f"{type(self).__name__}: {skipped}.")

    def problems(self) -> list[Problem]:
        """Frames and clips that are left out, as far as :meth:`prepare` or :meth:`setup` has looked at them."""
        found = list(self._unreadable.values())
        for clip in self._stored.values():
            found += clip.problems
            whole = any(problem.frame is None for problem in clip.problems)
            if len(clip) < self.min_frames and not whole:
                found.append(Problem(clip.name, None, f"Only {len(clip)} frames, of {self.min_frames} at least."))
        return found

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
            return None

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
        """Make float32 in [0, 1] of the frames, on their device, and zoom and shift those of a training batch."""
        image = batch["image"]
        if image.dtype == torch.uint8:
            batch["image"] = image.to(torch.float32, memory_format=torch.contiguous_format).div_(255.0)
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
            collate_fn=finished,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_single_thread,
        )

    def _store(self, clips: Sequence[Clip]) -> None:
        """Open the entries of clips; decode what is missing, a few clips at a time, with a progress bar."""
        clips = [clip for clip in clips if clip.name not in self._stored]
        if not clips:
            return
        size, codec = self.working_size, self._chosen_codec()
        names = {clip.name: entry_name(clip, size, codec) for clip in clips}
        self._hold([found for clip in clips if (found := self.store.find(clip.name, names[clip.name])) is not None])
        missing = [clip for clip in clips if clip.name not in self._stored]
        if missing:
            needed = {clip.folder.name for clip in self._stored.values()} | set(names.values())
            self.store.open()
            self.store.make_room(sum(map(self._bytes, missing)) if codec == "raw" else 0, needed)
            self._hold(self._decode(missing, codec, needed))
        self._list_problems(strict=bool(missing))

    def _decode(self, clips: Sequence[Clip], codec: Codec, needed: set[str]) -> list[StoredClip]:
        stop = Event()
        with (
            progress(sum(map(len, clips)) or None, "Storing frames (once)") as tick,
            ThreadPoolExecutor(_DECODERS) as pool,
        ):

            def step() -> None:
                if stop.is_set():
                    raise InterruptedError
                tick()

            tasks = [pool.submit(self.store.write, clip, self.working_size, codec, needed, step) for clip in clips]
            try:
                done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)
            for task in done:
                task.result()  # raises what went wrong first
            return [task.result() for task in tasks]

    def _hold(self, clips: Sequence[StoredClip]) -> None:
        """Keep entries from making room for others while this data module lives."""
        self._stored.update({clip.name: clip for clip in clips})
        before, self._use = self._use, self.store.use(self._stored.values())
        if before is not None:
            before.close()

    def _chosen_codec(self) -> Codec:
        """The codec; "auto" asks for the frames of all splits, so that every stage gives the same answer."""
        if self._codec is None:
            lengths: dict[str, int] = {}
            for split in SPLITS:
                try:
                    lengths.update({clip.name: self._bytes(clip) for clip in self.split_clips(split)})
                except (OSError, ValueError):  # this stage may not need that split
                    continue
            total = sum(lengths.values())
            fits = total <= _MEMORY_SHARE * machine_memory() and total <= (self.store.limit or total)
            self._codec = "raw" if fits else "jpeg"
        return self._codec

    def _bytes(self, clip: Clip) -> int:
        """What the frames of a clip take as they are."""
        return len(clip) * self.working_size[0] * self.working_size[1] * 3

    def _clip_masks(self, clip: Clip) -> ClipMasks:
        if clip.name not in self._masks:
            stored = self._stored[clip.name]
            left_out = {problem.frame for problem in stored.problems}
            self._masks[clip.name] = read_masks(clip, stored.indices, self.image_size, left_out)
        return self._masks[clip.name]

    def _list_problems(self, strict: bool) -> None:
        """Write the list of what is left out; in a store of somebody else, unless strict, that may be impossible."""
        if self.problems() or self._problems_file.exists():
            try:
                self.store.write_text(self._problems_file.name, table(self.problems()))
            except StoreError:
                if strict:
                    raise

    @property
    def _problems_file(self) -> Path:
        return self.store.folder / f"problems-{type(self).__name__.removesuffix('DataModule').lower()}.csv"

    def _skipped(self) -> str:
        """What is left out, in words; empty where nothing is."""
        found = summary(self.problems())
        return f"{found}: see {self._problems_file}" if found else ""

    def _nothing_left(self, what: str) -> str:
        """Why a split has no clip, as one sentence."""
        clips = [problem for problem in self.problems() if problem.frame is None]
        if not clips:
            return f"The {what} of {type(self).__name__} is empty: give it at least one clip."
        first = f"clip '{clips[0].clip}': {clips[0].reason}"
        return f"Nothing that can be read is left in the {what} of {type(self).__name__} ({summary(clips)}); {first}"


def _single_thread(_worker: int) -> None:
    """Keep OpenCV from starting threads of its own in every loader worker."""
    cv2.setNumThreads(0)
