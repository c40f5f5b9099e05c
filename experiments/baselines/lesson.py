"""What a baseline that learns may learn from: the unlabelled frames to train on, a folder of its own and the seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datamodules.dataset import FrameDataset
from experiments.baselines.clip_frames import ClipFrames


@dataclass(frozen=True)
class Lesson:
    """Frames to train on; no mask or box is among them.

    Attributes:
        dataset: The frames of the training part, with the planes that the data module brings.
        folder: What is kept of the learning is here, so that an interrupted one goes on. Other settings have another.
        seed: From which all that is drawn follows.
    """

    dataset: FrameDataset
    folder: Path
    seed: int

    def clips(self) -> list[ClipFrames]:
        """The clips, in order, with all of their frames wanted."""
        return [ClipFrames(clip, clip.frame_numbers) for clip in self.dataset.clips]
