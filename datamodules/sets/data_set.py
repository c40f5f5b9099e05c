"""What all data sets have in common: a folder, and clips for each split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from backdrop.ranges import require
from datamodules.clips.clip import Clip
from datamodules.clips.findings import Findings
from datamodules.clips.problems import counted
from datamodules.clips.splits import Split
from datamodules.clips.validation import set_aside
from datamodules.sets.same import Recordings


@dataclass(eq=False)
class DataSet(ABC):
    """A data set on disk: its layout, and which clips each split holds; it needs neither Lightning nor torch.

    ::

        for clip in Davis("data/davis").split_clips("train"):
            for frame_number, image in clip.source.frames():
                ...

    A new data set says which clips each split holds (:meth:`split_clips`); the rest is here.

    Attributes:
        root: Its folder; ~ is the user's.
        val_share: Share of the training recordings that validate where the protocol has no validation part of its own.
        findings: For what is left out and what is said.

    Raises:
        ValueError: If an attribute is out of range.
    """

    root: Path
    val_share: float = field(default=0.1, kw_only=True)
    findings: Findings = field(default_factory=Findings, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        """Check the attributes."""
        require(self, 0 <= self.val_share < 1, "val_share", self.val_share, "a share in [0, 1)")
        self.root = Path(self.root).expanduser()

    @abstractmethod
    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split, in order.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not read yet.

        Raises:
            FileNotFoundError: If the root is not one; the message says which folder to give.
            ValueError: If something in it is wrong.
        """

    def identity(self) -> str:
        """What tells this data from other data of the same class: the root, and whatever says which of it is meant."""
        return str(self.root.resolve())

    def validation_part(self, recordings: Iterable[str]) -> frozenset[str]:
        """The recordings of a training part that validate, where the protocol has no validation part.

        Args:
            recordings: Names of the recordings to train on; what several cameras saw at once is one recording.

        Returns:
            Those to validate on instead; none if there is only one, or if ``val_share`` is 0: then training goes
            without validation.
        """
        names = list(dict.fromkeys(recordings))
        drawn = set_aside(names, self.val_share)
        if drawn:  # a broken recording must not keep the others from being trained on
            self.findings.no_validation = f"{', '.join(sorted(drawn))} cannot be used"
        elif names:
            reason = f"{counted(len(names), 'training recording')}, val_share {self.val_share:g}"
            self.findings.no_validation = reason
        return drawn


@dataclass(eq=False)
class ClipDataSet(DataSet):
    """A data set of which single clips may be chosen, to train and to test on.

    Attributes:
        clips: Their names; None takes all.
        recordings: Which of them are one.
    """

    clips: list[str] | None = None
    recordings: Recordings = field(default_factory=Recordings, init=False, repr=False)

    def _recording(self, name: str) -> str:
        """What a clip is part of; its parts are never in two splits that are not listed by hand."""
        return self.recordings.same.get(name, name)

    @abstractmethod
    def available_clips(self) -> list[str]:
        """Names of all clips that are there, whatever is chosen, in natural order.

        Raises:
            FileNotFoundError: If the folders are not as expected, or there is no clip.
        """
