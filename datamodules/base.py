"""FramesDataModule: what all data modules share: splits, the frame store, loaders, augmentation."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn
from torch.utils.data import DataLoader

from backdrop.contracts import Batch, validate_batch
from backdrop.ranges import at_least, one_of, positive, require
from backdrop.settings import Measurement, Place
from datamodules.clips.annotations import Annotations, ClipMasks
from datamodules.clips.clip import Clip
from datamodules.clips.findings import Findings
from datamodules.clips.planes import Producer
from datamodules.clips.problems import Problem, counted
from datamodules.clips.splits import SPLITS, Part, Split, Splits
from datamodules.cues.making import features_name, features_sentence, target_producer
from datamodules.cues.trust import Trust
from datamodules.dataset import FrameDataset, frame_loader
from datamodules.order import TrainingOrder, mixed, seed_all
from datamodules.plates.evidence import EvidenceKind
from datamodules.plates.kinds import PlateKind, plate_producer
from datamodules.plates.plate import EVIDENCE, PLATE
from datamodules.sets.data_set import DataSet
from datamodules.store.codecs import Codec
from datamodules.store.entry import StoredClip
from datamodules.store.report import Report
from datamodules.store.store import FrameStore, default_folder
from datamodules.store.stored_data import StoredData
from datamodules.transforms import DeviceAugmentation, FrameAugmentation, on_device

_PURPOSES: dict[Split, str] = {"train": "To train on", "val": "To validate on", "test": "To test on"}
_STAGES: dict[str | None, tuple[Split, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": (),
    None: SPLITS,
}


class FramesDataModule(pl.LightningDataModule):
    """Base of all data modules: it loads the clips that a :class:`~datamodules.sets.data_set.DataSet` lists.

    A data module of a data set builds it in its constructor, after this one's, as :attr:`data_set`.

    What is random in a training follows from the seed of Lightning's ``seed_everything``, or else from the one that
    torch had when the module was built (datamodules/order.py).

    A batch is a :class:`backdrop.contracts.Batch`. Training yields all frames, and never sees a mask or a box. A split
    to evaluate that has annotation yields its annotated frames only; one without yields them all.

    No frame of a clip is in two splits. Where a protocol knows a training and a test part only, as the official lists
    of DAVIS do, some recordings of the training part validate instead of training (``val_share``); the test part
    stays whole. The exceptions are clips that the user has chosen for both, a single recording, and the clips of a
    benchmark that has no split: they train and are evaluated (:attr:`transductive`), which is said; ``held_out`` cuts
    such clips in time.

    With ``plates``, training and validation batches bring ``plate``, ``covered`` and ``evidence`` (datamodules/plates);
    with ``targets`` they bring ``motion``, ``target`` and ``trust`` (datamodules/cues).
    Frames leave the loaders as bytes; :meth:`on_after_batch_transfer` makes numbers of them on the device.

    Every clip is decoded once, scaled to the working size by area averaging, and kept in the frame store
    (datamodules/store), from which single frames are read in any order. Frames and clips that cannot be read are
    left out and listed (:meth:`problems`).

    Args:
        image_size: Evaluation size (height, width) in pixels: that of the masks.
        scale: Working size over evaluation size.
        batch_size: Frames in a batch.
        num_workers: Loader processes; 0 loads in the training process.
        augment: Whether training frames are augmented at all.
        frame_augment: Whether the augmentation includes the mirroring and the colours that the loader changes, with
            albumentations.
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
        targets: Whether to make training targets too, once per clip: see :class:`datamodules.cues.targets.Targets`.
        target_features: Network whose features help to make targets: a VGG or ResNet of torchvision by name, with its
            ImageNet weights; ``footage`` for filters learnt on the clip itself; ``none``; or ``auto``: vgg16 where its
            weights are on this machine, else none.
        held_out: Clips that serve for training and for evaluation are cut: this share of the frames, at the end of
            each, is not trained on, no plate of the other frames sees it, and it alone is tested on; of the frames
            before, the last ``val_share`` validate. 0 cuts none.
        evaluated_part: ``trained`` tests on the training part of the clips that ``held_out`` cuts.
        val_share: Share of the training recordings that validate where the protocol has no validation part of its own:
            at least one, never all. 0, like a single recording, leaves nothing to validate on.

    Attributes:
        data_set: What is loaded.

    Raises:
        ValueError: If an argument is out of range, in one sentence that names the range.
    """

    data_set: DataSet

    def __init__(
        self,
        image_size: Measurement[tuple[int, int]] = (360, 640),
        scale: float = 1.0,
        batch_size: int = 16,
        num_workers: Place[int] = 2,
        augment: bool = True,
        frame_augment: bool = True,
        device_augment: bool = True,
        store_dir: Place[str | None] = None,
        store_limit_gb: Place[float | None] = None,
        store_codec: Literal["auto", "raw", "jpeg"] = "auto",
        min_frames: int = 1,
        plates: PlateKind | None = None,
        plate_evidence: EvidenceKind = "appearance",
        targets: bool = False,
        target_features: str = "auto",
        held_out: Measurement[float] = 0.0,
        evaluated_part: Measurement[Part] = "held_out",
        val_share: float = 0.1,
    ) -> None:
        super().__init__()
        self._torch_seed = torch.initial_seed()
        require(self, len(image_size) == 2, "image_size", tuple(image_size), "a height and a width")
        at_least(1, self, image_size=tuple(image_size), batch_size=batch_size, min_frames=min_frames)
        at_least(0, self, num_workers=num_workers)
        positive(self, scale=scale, **({} if store_limit_gb is None else {"store_limit_gb": store_limit_gb}))
        one_of(("auto", "raw", "jpeg"), self, store_codec=store_codec)
        one_of((None, *get_args(PlateKind)), self, plates=plates)
        one_of(get_args(EvidenceKind), self, plate_evidence=plate_evidence)
        one_of(get_args(Part), self, evaluated_part=evaluated_part)
        for name, share in (("held_out", held_out), ("val_share", val_share)):
            require(self, 0 <= share < 1, name, share, "a share in [0, 1)")
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.scale = scale
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.frame_augment = augment and frame_augment
        self.device_augmentation = DeviceAugmentation() if augment and device_augment else None
        self.min_frames = min_frames
        self.plates = plates
        self.plate_evidence = plate_evidence
        self.targets = targets
        self.target_features = target_features
        self.held_out = held_out
        self.evaluated_part = evaluated_part
        self.val_share = val_share
        limit = None if store_limit_gb is None else round(store_limit_gb * 1e9)
        self.store = FrameStore(Path(store_dir).expanduser() if store_dir else default_folder(), limit)
        codec: Codec | None = None if store_codec == "auto" else store_codec
        self.findings = Findings(_tell)
        self._stored = StoredData(self.store, self.working_size, min_frames, codec, self.producers())
        self._annotations = Annotations(self.image_size)
        self._datasets: dict[Split, FrameDataset] = {}
        self._validated: set[Split] = set()

    @property
    def working_size(self) -> tuple[int, int]:
        """Size (height, width) in pixels of the images in a batch."""
        height, width = self.image_size
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def producers(self) -> list[Producer]:
        """What makes more planes of the frames to train and to validate on; each by its name is in the batches."""
        plates = [] if self.plates is None else [plate_producer(self.plates, self.plate_evidence)]
        return [*plates, *([target_producer(self.target_features)] if self.targets else [])]

    def brings(self) -> frozenset[str]:
        """Names of the planes in batches to train on, beside the frames."""
        made = {plane.name for producer in self.producers() for plane in producer.planes}
        return frozenset(made | {EVIDENCE.name} if PLATE.name in made else made)

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
        usable = self._stored.frames.usable([clip for split in splits for clip in used[split]])
        if splits and not usable:
            raise ValueError(self._report.nothing_left("data"))
        shown = self._stored.frames.usable([clip for split in splits if split != "test" for clip in used[split]])
        self._stored.more_planes(shown)
        line = self._stored.described(usable)
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
        usable = {split: self._stored.frames.usable(used[split]) for split in wanted}
        for split in wanted:
            if not usable[split] and split == "val" and self.findings.no_validation and stage != "validate":
                reason = self.findings.no_validation
                self.findings.say(f"Nothing to validate on ({reason}): best.ckpt is not written.")
            elif not usable[split]:
                raise ValueError(self._report.nothing_left(f"{split} split"))
        evaluated = [clip for split in wanted if split != "train" for clip in usable[split]]
        self._annotations.read((clip, self._stored[clip].frame_numbers) for clip in evaluated)
        for clip in evaluated:
            self.notice_masks(clip, self._annotations.masks(clip))
        if self.targets and "train" in wanted:
            self.findings.say(features_sentence(self.target_features))
        for split in wanted:
            dataset = self._datasets[split] = self._dataset(split, usable[split])
            parts = [f"{_PURPOSES[split]}: {counted(len(dataset.clips), 'clip')}"]
            parts += [counted(len(dataset), "frame")]
            parts += [f"{dataset.masked_frames} with a mask"] if dataset.masks is not None else []
            parts += [f"{dataset.boxed_frames} with a box"] if dataset.boxes is not None else []
            without = len(self.listed_clips(split)) - len(used[split])
            parts += [f"{counted(without, 'clip')} without any annotation left out"] if without else []
            self.findings.say(f"{', '.join(parts)}.")
        if wanted and (skipped := self.skipped()) and skipped not in self.findings.said:
            self.findings.said.add(skipped)
            rank_zero_warn(f"{skipped}.")

    def problems(self) -> list[Problem]:
        """Frames and clips that are left out, and what else was noticed, as far as they were looked at."""
        return self._report.problems()

    def skipped(self) -> str:
        """What is left out or was noticed, in numbers, and where it is listed; empty where nothing was."""
        return self._report.skipped()

    def trust(self) -> Trust | None:
        """How far the targets of the frames to train on are to be trusted; None where there are none.

        Raises:
            RuntimeError: If :meth:`setup` has not been called for them.
        """
        if not self.targets:
            return None
        return Trust.of(self.dataset("train").means("trust"), features_name(self.target_features))

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

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Let all that is drawn for a training batch, by the model too, follow from the seed, batch and process."""
        if self._stage() == "train":
            assert self.trainer is not None
            at = (self.trainer.current_epoch, self.trainer.fit_loop.batch_idx + 1)  # the batch before is counted
            seed_all(mixed(self._seed, *at, self.trainer.global_rank))
        return batch

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Make numbers in [0, 1] of a batch's bytes, on their device, and zoom and shift those of a training batch."""
        stage = self._stage()
        ready = on_device(batch, self.device_augmentation if stage == "train" else None)
        if stage is not None and stage not in self._validated:
            self._validated.add(stage)
            validate_batch(ready, stage)
        return ready

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
        self._stored.open([listed[name] for name in missing])
        return [self._stored[listed[entry.name]] if entry.name in missing else entry for entry in entries]

    def listed_clips(self, split: Split) -> list[Clip]:
        """The clips of one split, as the data set has listed them for :meth:`setup`; it is not asked again.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, those that are left out among them.
        """
        return self._splits.listed([split])[split]

    def clip_names(self) -> dict[Split, list[str]]:
        """Names of the clips of every split that can be listed, before any is cut in time; for :meth:`keep_splits`."""
        return self._splits.names()

    def keep_splits(self, names: Mapping[Split, Sequence[str]]) -> None:
        """Take the splits that a training had, whatever the data set would list now; call it before :meth:`setup`.

        Clips that came later are left out, and said.

        Args:
            names: Of the clips of every split, see :meth:`clip_names`.
        """
        self._splits.kept = names

    @property
    def transductive(self) -> bool | None:
        """Whether clips are tested on that were trained on, without their masks; None if a split cannot be listed."""
        return self._splits.transductive

    @cached_property
    def _splits(self) -> Splits:
        """The clips of all splits; made once the data set is there."""
        lister = self.data_set.split_clips  # no method of this module: it is to go with its last user, not later
        return Splits(lister, self.findings, self.held_out, self.evaluated_part, self.val_share)

    @cached_property
    def _report(self) -> Report:
        """What is left out of the data."""
        return Report(type(self).__name__, self.data_set.identity(), self.findings, self._stored)

    def _dataset(self, split: Split, clips: Sequence[Clip]) -> FrameDataset:
        frames = [self._stored[clip] for clip in clips]
        planes = self._stored.more_planes(clips) if split != "test" else []
        if split == "train":
            return FrameDataset(frames, transform=FrameAugmentation() if self.frame_augment else None, planes=planes)
        masks, boxes = map(self._annotations.masks, clips), map(self._annotations.boxes, clips)
        return FrameDataset(frames, list(masks), None, list(boxes), planes)

    def notice_masks(self, clip: Clip, masks: ClipMasks) -> None:
        """Notice what is odd about the masks of a clip.

        Args:
            clip: The clip.
            masks: Its masks at the evaluation size.
        """
        if masks.blank:
            reason = f"{counted(masks.blank, 'mask')} of which no pixel is known: these frames are not scored"
            self.findings.notice(clip.name, None, reason)

    def _loader(self, split: Split) -> DataLoader[Batch]:
        order = self._order() if split == "train" else None
        return frame_loader(self.dataset(split), split, self.batch_size, self.num_workers, order)

    @property
    def _seed(self) -> int:
        """The seed of the training."""
        return int(os.environ.get("PL_GLOBAL_SEED", self._torch_seed))

    def _order(self) -> TrainingOrder:
        """The order to train in, from the batch on that a checkpoint names."""
        trainer = self.trainer
        if trainer is None:
            return TrainingOrder(self.dataset("train"), self._seed)
        order = TrainingOrder(self.dataset("train"), self._seed, trainer.global_rank, trainer.world_size)
        loop = trainer.fit_loop
        done = loop.epoch_loop.batch_progress.current.completed if loop.restarting else 0
        order.begin(trainer.current_epoch, done * self.batch_size)
        return order

    def _stage(self) -> Split | None:
        """What the trainer does with batches now; None where there is none, or nothing of this."""
        trainer = self.trainer
        if trainer is None:
            return None
        at = {"train": trainer.training, "val": trainer.validating or trainer.sanity_checking, "test": trainer.testing}
        return next((split for split in SPLITS if at[split]), None)

    def _open(self, splits: Sequence[Split]) -> dict[Split, list[Clip]]:
        """Open the clips of some splits, decoding what is not in the store; their lists, without what is not used."""
        if not splits:
            return {}
        used = self._splits.used(splits)
        clips = [clip for split in splits for clip in used[split]]
        decoded = self._stored.open(clips, [clip for members in used.values() for clip in members])
        self._report.update(clips, self._splits.listed(), strict=decoded)
        return used


@rank_zero_only
def _tell(message: str) -> None:
    logging.getLogger("datamodules").info(message)  # Lightning's own logger is silenced by the command line
