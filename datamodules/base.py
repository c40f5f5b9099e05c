"""FramesDataModule: what all data modules share: splits, the frame store, loaders, augmentation."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn
from torch.utils.data import DataLoader, Subset

from backdrop.contracts import Batch, validate_batch
from backdrop.progress import progress
from backdrop.settings import Measurement, Place
from datamodules.clips.clip import Clip, ClipMasks, read_boxes, read_masks
from datamodules.clips.parts import hold_out
from datamodules.clips.planes import Producer
from datamodules.clips.problems import Problem, counted, read_table, summary, table
from datamodules.clips.sampling import spread
from datamodules.clips.validation import set_aside
from datamodules.dataset import FrameDataset, finished, single_thread
from datamodules.plates.evidence import EvidenceKind
from datamodules.plates.kinds import PlateKind, plate_producer
from datamodules.readers import FrameSource
from datamodules.store.codecs import Codec
from datamodules.store.entry import StoredClip
from datamodules.store.memory import machine_memory
from datamodules.store.store import FrameStore, StoreError, default_folder, gigabytes
from datamodules.store.stored_clips import StoredClips
from datamodules.transforms import DeviceAugmentation, FrameAugmentation, to_float

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
_MEMORY_SHARE = 0.5
_WHOLLY = 0.99  # a pixel that the augmentation mixes of covered and other ones is not covered
_MANY_ANNOTATIONS = 1000  # from here on reading them takes long enough for a progress bar


class FramesDataModule(pl.LightningDataModule):
    """Base of all data modules; a dataset only says which clips each split holds (:meth:`split_clips`).

    A batch is a dict of ``image`` (float32 (B, 3, h, w), RGB in [0, 1], at the working size), ``clip`` (list of B
    strings) and ``index`` (int64 (B,), original frame numbers). Validation and test batches add, if that split has
    any mask, ``mask`` (bool (B, 1, H, W) at the evaluation size ``image_size``) and ``annotated`` (bool (B,); where
    False the mask is all False and must be ignored), if its masks tell several subjects apart ``objects`` (uint8
    (B, 1, H, W), the number of the subject at each pixel, not 0 exactly where ``mask``), and, if it has any box,
    ``box`` (float32 (B, 4), (cx, cy, sx, sy) in [-1, 1]; NaN where the frame has none). A split that has annotation
    yields its annotated frames only; one without yields them all. Training yields all frames, and never sees a mask or
    a box.

    No frame of a clip is in two splits. Where a protocol knows a training and a test part only, as the official lists
    of DAVIS do, some recordings of the training part validate instead of training (:meth:`validation_part`); the test
    part stays whole. The one exception are clips that the user has chosen for both, and a single recording: they train
    and are evaluated (:attr:`transductive`), which is said; ``held_out`` cuts such clips in time.

    With ``plates``, training and validation batches bring ``plate`` (float32 (B, 3, h, w), what the frame would show
    without its subject), ``covered`` (bool (B, 1, h, w), where that is known) and ``evidence`` (float32 (B, 1, h, w) in
    [0, 1], how surely a pixel is not that scene); see datamodules/plates.

    Frames leave the loaders as uint8; :meth:`on_after_batch_transfer` makes float32 of them on the device.

    Every clip is decoded once, scaled to the working size by area averaging, and kept in the frame store
    (datamodules/store), from which single frames are read in any order. Frames and clips that cannot be read are
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
            room, those of changed sources and former settings in their turn. None, the default, is no limit: nothing
            makes room before the disk is full.
        store_codec: "raw" keeps frames as they are (h * w * 3 bytes each), "jpeg" at quality 95 (about a seventh);
            "auto" is what the store holds the clips in already; else raw where the frames of all splits fit half of
            this machine's memory, the limit and the disk.
        min_frames: Clips of which fewer frames can be read are left out.
        plates: Background plates to make, once per clip: ``static`` for a camera that stands still, ``temporal`` for
            one that moves, None for none.
        plate_evidence: What ``temporal`` plates tell of the subject: ``one_subject`` and ``appearance`` (its colours
            have a say) of one connected region in each frame, the one that stands out most; ``agreed`` of all that
            stands out, for several subjects; ``measured`` of that without the mean of pixels that are alike. See
            :class:`datamodules.plates.temporal.TemporalPlates`.
        held_out: Clips that serve for training and for evaluation are cut: this share of the frames, at the end of
            each, is not trained on, no plate of the other frames sees it, and it alone is tested on; of the frames
            before, the last ``val_share`` validate. 0 cuts none.
        evaluated_part: ``trained`` tests on the training part of the clips that ``held_out`` cuts.
        val_share: Share of the training recordings that validate where the protocol has no validation part of its own:
            at least one, never all. 0, like a single recording, leaves nothing to validate on.

    Raises:
        ValueError: If a size, the scale, the batch size, the limit or ``min_frames`` is not positive, the codec is
            unknown, or ``held_out`` or ``val_share`` is not in [0, 1).
    """

    clips: list[str] | None = None

    def __init__(
        self,
        image_size: Measurement[tuple[int, int]] = (360, 640),
        scale: float = 1.0,
        batch_size: int = 16,
        num_workers: Place[int] = 2,
        augment: bool = True,
        device_augment: bool = True,
        store_dir: Place[str | None] = None,
        store_limit_gb: Place[float | None] = None,
        store_codec: Literal["auto", "raw", "jpeg"] = "auto",
        min_frames: int = 1,
        plates: PlateKind | None = None,
        plate_evidence: EvidenceKind = "appearance",
        held_out: Measurement[float] = 0.0,
        evaluated_part: Measurement[Literal["held_out", "trained"]] = "held_out",
        val_share: float = 0.1,
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
        self._codec: Codec | None = None if store_codec == "auto" else store_codec
        if not 0 <= held_out < 1:
            raise ValueError(f"held_out is a share of the frames in [0, 1), got {held_out}.")
        if not 0 <= val_share < 1:
            raise ValueError(f"val_share is a share of the training recordings in [0, 1), got {val_share}.")
        self.held_out = held_out
        self.val_share = val_share
        self.evaluated_part = evaluated_part
        self.plates = plates
        self.plate_evidence = plate_evidence
        self._stored = StoredClips(self.store, self.working_size, min_frames)
        self._more = [StoredClips(self.store, self.working_size, producer=producer) for producer in self.producers()]
        self._validated: set[Split] = set()
        self._whole: dict[Split, list[Clip]] = {}
        self._lists: dict[Split, list[Clip]] = {}
        self._unvalidated: str | None = None
        self._datasets: dict[Split, FrameDataset] = {}
        self._annotations: dict[Hashable, tuple[ClipMasks, NDArray[np.float32]]] = {}
        self._said: set[str] = set()
        self._opened: set[str] = set()
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

    def producers(self) -> list[Producer]:
        """What makes more planes of the frames to train and to validate on; each by its name is in the batches."""
        return [] if self.plates is None else [plate_producer(self.plates, self.plate_evidence)]

    def available_clips(self) -> list[str]:
        """Names of all clips that are there, where ``clips`` may choose some of them.

        Raises:
            ValueError: If the data set cannot be restricted to single clips.
        """
        raise ValueError(f"{type(self).__name__} cannot be restricted to single clips, as davis and videos can.")

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
            ValueError: If not one clip can be read, or an annotation belongs to no frame.
        """
        used = self._open(splits)
        usable = self._stored.usable([clip for split in splits for clip in used[split]])
        if splits and not usable:
            raise ValueError(self._nothing_left("data"))
        self._planes(self._stored.usable([clip for split in splits if split != "test" for clip in used[split]]))
        entries = list({clip.kept: self._stored[clip] for clip in usable}.values())
        clips = len({entry.name for entry in entries})  # frames to train on and to evaluate may be two entries
        frames, size = sum(len(entry) for entry in entries), sum(int(entry.offsets[-1]) for entry in entries)
        codecs = "/".join(sorted({entry.codec for entry in entries}))
        counts = f"{counted(clips, 'clip')}, {counted(frames, 'frame')}"
        line = f"{counts}, {gigabytes(size)} ({codecs}) in {self.store.folder}"
        return f"{line}; {skipped}" if (skipped := self.skipped()) else line

    def setup(self, stage: str | None = None) -> None:
        """Open the frames of the splits that a stage needs, and decode those that are not in the store.

        Args:
            stage: "fit", "validate", "test", "predict" (nothing) or None (all).

        Raises:
            OSError: If the disk of the frames fails.
            StoreError: If the store is full or must not be written.
            ValueError: If a split is empty, none of its clips can be read, or an annotation is wrong.
        """
        wanted = [split for split in _STAGES[stage] if split not in self._datasets]
        used = self._open(wanted)
        usable = {split: self._stored.usable(used[split]) for split in wanted}
        for split in wanted:
            if not usable[split] and split == "val" and self._unvalidated and stage != "validate":
                self.say(f"Nothing to validate on ({self._unvalidated}): best.ckpt is not written.")
            elif not usable[split]:
                raise ValueError(self._nothing_left(f"{split} split"))
        self._annotate([clip for split in wanted if split != "train" for clip in usable[split]])
        for split in wanted:
            frames = [self._stored[clip] for clip in usable[split]]
            planes = self._planes(usable[split]) if split != "test" else []
            if split == "train":
                augmentation = FrameAugmentation() if self.augment else None
                dataset = FrameDataset(frames, transform=augmentation, planes=planes)
            else:
                annotations = [self._annotations[clip.kept] for clip in usable[split]]
                masks, boxes = [a[0] for a in annotations], [a[1] for a in annotations]
                dataset = FrameDataset(frames, masks, None, boxes, planes)
            self._datasets[split] = dataset
            parts = [f"{type(self).__name__} {split}: {counted(len(frames), 'clip')}", counted(len(dataset), "frame")]
            parts += [f"{dataset.masked_frames} with a mask"] if dataset.masks is not None else []
            parts += [f"{dataset.boxed_frames} with a box"] if dataset.boxes is not None else []
            without = len(self._lists[split]) - len(used[split])
            parts += [f"{counted(without, 'clip')} without any annotation left out"] if without else []
            self.say(f"{', '.join(parts)}.")
        if wanted and (skipped := self.skipped()) and skipped not in self._said:
            self._said.add(skipped)
            rank_zero_warn(f"{type(self).__name__}: {skipped}.")

    def problems(self) -> list[Problem]:
        """Frames and clips that are left out, and what else was noticed, as far as they were looked at."""
        return [*self._left_out(), *self._noticed]

    def skipped(self) -> str:
        """What is left out or was noticed, in numbers, and where it is listed; empty where nothing was."""
        found = summary(self._left_out(), len(self._noticed))
        return f"{found}: see {self._problems_file}" if found else ""

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
            self.leave_out(name, str(error))
            return None

    def leave_out(self, clip: str, reason: str) -> None:
        """Keep a clip that :meth:`split_clips` does not list for :meth:`problems`.

        Args:
            clip: Name of the clip.
            reason: Why not, and what to do about it.
        """
        self._unreadable[clip] = Problem(clip, None, reason)

    def notice(self, clip: str, frame: int | None, reason: str) -> None:
        """Keep a problem for :meth:`problems`.

        Args:
            clip: Name of the clip.
            frame: Original frame number; None if it concerns the whole clip.
            reason: What is wrong, and what was done about it.
        """
        self._noticed[Problem(clip, frame, reason)] = None

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled, augmented frames; a short last batch is dropped unless it is the only one."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """All validation frames, every batch spread over all clips: ``limit_val_batches`` then misses none of them.

        No loader where there is nothing to validate on.
        """
        return self._loader("val") if len(self.dataset("val")) else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """All test frames in order."""
        return self._loader("test")

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Make numbers in [0, 1] of a batch's bytes, on their device, and zoom and shift those of a training batch."""
        planes = to_float(batch)
        if self.device_augmentation is not None and self.trainer is not None and self.trainer.training:
            channels = [plane.shape[1] for plane in planes.values()]
            changed = self.device_augmentation(torch.cat(list(planes.values()), dim=1)).split(channels, dim=1)
            planes = dict(zip(planes, changed, strict=True))
        if "covered" in planes:
            planes["covered"] = planes["covered"] > _WHOLLY
        ready = cast(Batch, {**batch, **planes})
        stage = self._stage()
        if stage is not None and stage not in self._validated:
            self._validated.add(stage)
            validate_batch(ready, stage)
        return ready

    def _stage(self) -> Split | None:
        """What the trainer does with batches now; None where there is none, or none of these."""
        trainer = self.trainer
        if trainer is None:
            return None
        at = {"train": trainer.training, "val": trainer.validating or trainer.sanity_checking, "test": trainer.testing}
        return next((split for split in SPLITS if at[split]), None)

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

    def whole_clips(self, split: Split) -> list[StoredClip]:
        """The clips of :meth:`dataset` with all of their frames, annotated or not, for what looks at a clip as a whole.

        Where a split keeps annotated frames only, and there are others, the clip is decoded into the store once more.

        Args:
            split: "train", "val" or "test".

        Returns:
            One entry for each clip of the data set, in its order.

        Raises:
            OSError: If the disk of the frames fails.
            RuntimeError: If :meth:`setup` has not been called for it.
            StoreError: If the store is full or must not be written.
        """
        entries = self.dataset(split).clips
        listed = {clip.name: clip for clip in self.listed_clips(split)}
        missing = [e.name for e in entries if len(e) + len(e.problems) < len(listed[e.name])]
        self._stored.open([listed[name] for name in missing], self._codec or "raw")
        return [self._stored[listed[entry.name]] if entry.name in missing else entry for entry in entries]

    def listed_clips(self, split: Split) -> list[Clip]:
        """The clips of one split, as :meth:`split_clips` has listed them for :meth:`setup`; it is not asked again.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, those that are left out among them.
        """
        return self._list([split])[split]

    @property
    def transductive(self) -> bool | None:
        """Whether clips are tested on that were trained on, without their masks; None if a split cannot be listed."""
        lists = self._list([])
        known = "train" in lists and "test" in lists
        return bool(_shared_names(lists["train"], lists["test"])) if known else None

    def validation_part(self, recordings: Iterable[str]) -> frozenset[str]:
        """The recordings of a training part that validate, for :meth:`split_clips` of data without a validation part.

        Args:
            recordings: Names of the recordings to train on; what several cameras saw at once is one recording.

        Returns:
            Those to validate on instead; none if there is only one, or if ``val_share`` is 0: then training goes
            without validation.
        """
        names = list(dict.fromkeys(recordings))
        drawn = set_aside(names, self.val_share)
        if drawn:  # a broken recording must not keep the others from being trained on
            self.go_without_validation(f"{', '.join(sorted(drawn))} cannot be used")
        elif names:
            self.go_without_validation(f"{counted(len(names), 'training recording')}, val_share {self.val_share:g}")
        return drawn

    def go_without_validation(self, reason: str) -> None:
        """Let the validation split be empty, where it is; :meth:`setup` then says so.

        Args:
            reason: Why there is nothing to validate on.
        """
        self._unvalidated = reason

    def say(self, message: str) -> None:
        """Tell the user something, once per data module and on one process only.

        Args:
            message: One sentence.
        """
        if message not in self._said:
            self._said.add(message)
            _tell(message)

    def _loader(self, split: Split) -> DataLoader[Batch]:
        dataset = self.dataset(split)
        train = split == "train"
        return DataLoader(
            Subset(dataset, spread(len(dataset), self.batch_size)) if split == "val" else dataset,
            batch_size=self.batch_size,
            shuffle=train,
            drop_last=train and len(dataset) >= self.batch_size,
            num_workers=self.num_workers,
            collate_fn=finished,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=single_thread,
        )

    def _open(self, splits: Sequence[Split]) -> dict[Split, list[Clip]]:
        """Open the clips of some splits, decoding what is not in the store; their lists, without what is not used."""
        if not splits:
            return {}
        used = _without_the_unused(self._list(splits))
        clips = {clip.kept: clip for split in splits for clip in used[split]}
        decoded = self._stored.open(list(clips.values()), self._chosen_codec(used, list(clips.values())))
        self._opened |= {clip.name for clip in clips.values()}
        self._list_problems(strict=decoded)
        return used

    def _list(self, splits: Sequence[Split]) -> dict[Split, list[Clip]]:
        """The clips of all splits, whichever are asked for, so that each stage has the same use for a clip."""
        for split in SPLITS:
            if split not in self._lists:
                try:
                    self._lists[split] = self._split(split)
                except (OSError, ValueError):
                    if split in splits:
                        raise
        if splits:
            self._announce_shared()
        return self._lists

    def _announce_shared(self) -> None:
        """Say which clips are in two splits; nobody but the user can have put them there."""
        train, val, test = (self._lists.get(split, []) for split in SPLITS)
        if shared := _shared_names(train, [*val, *test]):
            first = f"clip '{shared[0]}'" + (f" and {len(shared) - 1} more" if len(shared) > 1 else "")
            cut = "." if self.held_out else ", or cut it in time with held_out."
            self.say(f"Transductive: {first} both trains, without its masks, and tests; say so beside any figure{cut}")
        elif shared := _shared_names(val, test):
            self.say(f"Clip '{shared[0]}' both validates and tests, as the splits were chosen.")

    def _split(self, split: Split) -> list[Clip]:
        """The clips of one split; those that are both trained on and evaluated are cut in time if so asked."""
        clips = self._uncut(split)
        if not self.held_out:
            return clips
        train, val, test = ({clip.name for clip in self._uncut(other)} for other in SPLITS)
        parts = []
        for clip in clips:
            if clip.name not in train & (val | test):
                parts.append(clip)
                continue
            try:
                first, middle, last = hold_out(clip, self.held_out, self.val_share if clip.name in val & test else 0.0)
            except ValueError as error:
                self.leave_out(clip.name, str(error))
                continue
            tested = first if self.evaluated_part == "trained" else last
            validated = middle if clip.name in test else last
            part = {"train": first, "val": validated, "test": tested}[split]
            parts += [part] if part is not None else []
        if split == "val" and clips and not parts:
            self.go_without_validation(f"too few frames, or val_share 0: {self.val_share:g}")
        return parts

    def _uncut(self, split: Split) -> list[Clip]:
        """The clips of one split as the data set lists them, asked for once."""
        if split not in self._whole:
            self._whole[split] = self.split_clips(split)
        return self._whole[split]

    def _chosen_codec(self, used: Mapping[Split, Sequence[Clip]], wanted: Sequence[Clip]) -> Codec:
        """The codec; "auto" is the one that holds the wanted clips already, as another machine may have stored them.

        Else it looks at the frames of all splits, so that every stage gives the same answer.
        """
        if self._codec is None:
            self._codec = self._stored.only_codec(wanted)
        if self._codec is None:
            clips = {clip.kept: clip for members in used.values() for clip in members}
            total = sum(stored.bytes(clip) for stored in (self._stored, *self._more) for clip in clips.values())
            fits = total <= _MEMORY_SHARE * machine_memory() and total <= (self.store.limit or total)
            self._codec = "raw" if fits and self._stored.raw_fits(list(clips.values())) else "jpeg"
        return self._codec

    def _planes(self, clips: Sequence[Clip]) -> list[list[StoredClip]]:
        """More planes of clips that are open, by producer; made where they are not in the store."""
        for stored in self._more:
            stored.open(clips, self._codec or "raw")
        return [[stored[clip] for clip in clips] for stored in self._more]

    def _annotate(self, clips: Sequence[Clip]) -> None:
        """Read the masks and boxes of clips that are open."""
        missing = {clip.kept: clip for clip in clips if clip.kept not in self._annotations}
        total = sum(len(clip.masks) + len(clip.boxes) for clip in missing.values())
        with progress(total, "Reading annotations") if total >= _MANY_ANNOTATIONS else nullcontext(_silent) as tick:
            for kept, clip in missing.items():
                indices = self._stored[clip].frame_numbers
                masks = read_masks(clip, indices, self.image_size, tick)
                self._annotations[kept] = masks, read_boxes(clip, indices, tick)

    def _left_out(self) -> list[Problem]:
        """Frames and clips that are left out."""
        return [*self._unreadable.values(), *self._stored.problems()]

    def _list_problems(self, strict: bool) -> None:
        """Write the list of what is left out; in a store of somebody else, unless strict, that may be impossible."""
        listed = {clip.name for members in self._lists.values() for clip in members}
        try:
            before = read_table(self._problems_file.read_text(encoding="utf-8", errors="surrogateescape"))
        except OSError:
            before = None
        if self.problems() or before is not None:
            # what an earlier call found in clips that this one has not opened is still true
            known = len(self._lists) == len(SPLITS)  # else a split cannot be listed now
            others = [p for p in before or () if p.clip not in self._opened and (p.clip in listed or not known)]
            try:
                self.store.write_text(self._problems_file.name, table(list(dict.fromkeys([*others, *self.problems()]))))
            except StoreError:
                if strict:
                    raise

    @property
    def _problems_file(self) -> Path:
        """One list for each set of data, as several may share a store."""
        key = hashlib.sha256(self._data_set().encode(errors="surrogateescape")).hexdigest()[:8]
        return self.store.folder / f"problems-{type(self).__name__.removesuffix('DataModule').lower()}-{key}.csv"

    def _data_set(self) -> str:
        """What tells this data from other data of the same class: its root, and whatever says which of it is meant."""
        return str(Path(getattr(self, "root", "")).resolve())

    def _nothing_left(self, what: str) -> str:
        """Why a split has no clip, as one sentence."""
        clips = [problem for problem in self._left_out() if problem.frame is None]
        if not clips:
            return f"The {what} of {type(self).__name__} is empty: give it at least one clip."
        first = f"clip '{clips[0].clip}': {clips[0].reason}"
        return f"Nothing that can be read is left in the {what} of {type(self).__name__} ({summary(clips)}); {first}"


def _shared_names(clips: Sequence[Clip], others: Sequence[Clip]) -> list[str]:
    """Names of the clips that are in both lists, in the order of the first."""
    names = {clip.name for clip in others}
    return [clip.name for clip in clips if clip.name in names]


@rank_zero_only
def _tell(message: str) -> None:
    logging.getLogger("datamodules").info(message)  # Lightning's own logger is silenced by the command line


def _silent() -> None:
    """Count nothing."""


def _without_the_unused(clips: Mapping[Split, list[Clip]]) -> dict[Split, list[Clip]]:
    """Leave out what a split does not use, so that it is not read either.

    Args:
        clips: Clips of all splits.

    Returns:
        The clips by split. Training clips come without annotation unless they are evaluated too; in an evaluation
        split that has any annotation, clips without are gone and the others keep their annotated frames only, unless
        the clip is read as a whole for training.
    """
    evaluated = {clip.name for split, members in clips.items() if split != "train" for clip in members}
    used = dict(clips)
    if "train" in clips:
        used["train"] = [c if c.name in evaluated else replace(c, masks={}, boxes={}) for c in clips["train"]]
    whole = {clip.kept for clip in used.get("train", [])}
    for split, members in clips.items():
        annotated = [clip for clip in members if clip.annotated]
        if split != "train" and annotated:
            used[split] = [clip if clip.kept in whole else replace(clip, annotated_only=True) for clip in annotated]
    return used
