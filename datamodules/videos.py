"""VideosDataModule: the user's own recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pytorch_lightning.utilities import rank_zero_warn

from backdrop.settings import Measurement, Place
from datamodules.base import FramesDataModule
from datamodules.checks import FEW_FRAMES, FEW_WITH_TARGETS, frame_warnings, subject_warnings
from datamodules.clips.annotations import ClipMasks
from datamodules.clips.clip import Clip
from datamodules.clips.splits import SPLITS
from datamodules.sets.videos import Videos

_MOST = 0.5


class VideosDataModule(FramesDataModule):
    """The user's own recordings, of which all but the frames is optional.

    :class:`datamodules.sets.videos.Videos` says how they may lie on disk, and which clips are for what.

    Args:
        root: A video file or a folder, see there.
        clips: Names of the clips to train and test on, whatever ``splits.json`` lists; None takes all.
        every_nth: Keep every n-th frame of a clip and the annotated ones; original numbers are kept.
        fps: Keep so many frames of a second instead, by the time stamps of the video, and the annotated ones.
        time_ranges: Use parts of a video only: clip name -> [[start, end], ...] in seconds from its first frame.
        val_fraction: Share of the clips for validation and test together, where there is no ``splits.json``; of three
            or more clips at least two. 0 sets none aside: all train, validate and test.
        **kwargs: Options of :class:`datamodules.base.FramesDataModule`; frames of another shape than ``image_size``
            are stretched to it.

    Raises:
        ValueError: If an argument is out of range.
    """

    kind: ClassVar[type[Videos]] = Videos

    def __init__(
        self,
        root: Place[str],
        clips: list[str] | None = None,
        every_nth: Measurement[int] = 1,
        fps: Measurement[float | None] = None,
        time_ranges: Measurement[dict[str, list[tuple[float, float]]] | None] = None,
        val_fraction: Measurement[float] = 0.2,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        given = (Path(root), clips, every_nth, fps, time_ranges or {}, val_fraction, self.image_size, self.min_frames)
        self.data_set = self.kind(*given, val_share=self.val_share, findings=self.findings)

    def setup(self, stage: str | None = None) -> None:
        """Open the frames of the splits that a stage needs, and warn of recordings that will hardly train.

        Args:
            stage: "fit", "validate", "test", "predict" (nothing) or None (all).

        Raises:
            FileNotFoundError: If there is nothing to read.
            ValueError: If a file cannot be read or a split is wrong.
        """
        before = set(self._datasets)
        super().setup(stage)
        for split in SPLITS:
            if split in self._datasets and split not in before:
                dataset, train = self.dataset(split), split == "train"
                few = FEW_WITH_TARGETS if self.targets else FEW_FRAMES
                found = frame_warnings(dataset, self._frames_apart(), few) if train else subject_warnings(dataset)
                for warning in found:
                    rank_zero_warn(warning)

    def notice_masks(self, clip: Clip, masks: ClipMasks) -> None:
        """Notice what is odd about the masks of a clip, also where black and white may be the other way round.

        Args:
            clip: The clip.
            masks: Its masks at the evaluation size.
        """
        super().notice_masks(clip, masks)
        positions = np.flatnonzero(masks.annotated).tolist()
        if positions and all(masks[position].mean() > _MOST for position in positions):
            reason = (
                "the subject fills more than half of every mask: if their background is white, as in half of the clips "
                "of FBMS-59, invert them (DATA=fbms knows which)"
            )
            self.findings.notice(clip.name, None, reason)
            self.findings.say(f"Clip '{clip.name}': {reason}.")

    def _frames_apart(self) -> int:
        """Number of frames of the clips that only validate and test."""
        train = {clip.name for clip in self.listed_clips("train")}
        lists = self._splits.listed()
        apart = {clip.name: len(clip) for split in ("val", "test") for clip in lists.get(split, ())}
        return sum(frames for name, frames in apart.items() if name not in train)
