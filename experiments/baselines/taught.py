"""Masks that a teacher gives to a student, clip by clip in files, and which of them are good enough to learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backdrop.files import whole_file
from backdrop.progress import progress
from datamodules.readers import Pixels, resize
from experiments.baselines.clip_frames import ClipFrames

Teacher = Callable[[int, ClipFrames, Sequence[int]], Iterator[tuple[Pixels, float]]]
"""Number of a clip, its frames and positions of some -> soft mask (uint8, (h, w), 255 = subject) and merit of each."""

_SEEN = 0.1  # soft masks below count as zero: a network's are nowhere exactly that


@dataclass(frozen=True)
class Taught:
    """Frames of a clip with a teacher's masks.

    Attributes:
        positions: Of the frames in their clip, (N,).
        masks: uint8, (N, h, w), 255 = subject.
        merits: How good each is supposed to be, (N,); 0 where nothing was found.
    """

    positions: NDArray[np.int64]
    masks: NDArray[np.uint8]
    merits: NDArray[np.float32]

    def best(self, share: float) -> Taught:
        """The frames with the best masks, at least one; those without any mask never count.

        Args:
            share: Of the frames of the clip, in (0, 1].
        """
        most = max(1, round(share * len(self.merits)))
        order = np.argsort(-self.merits, kind="stable")[:most]
        chosen = np.sort(order[self.merits[order] > 0])
        return Taught(self.positions[chosen], self.masks[chosen], self.merits[chosen])


def merit(mask: NDArray[np.float32]) -> float:
    """The unsupervised measure of a soft mask: the mean of its values where it is not zero; 0 for an empty one.

    A mask whose values are all near its maximum is sure of itself.

    Args:
        mask: (h, w), in [0, 1].
    """
    seen = mask[mask >= _SEEN]
    return float(seen.mean()) if len(seen) else 0.0


def teach(
    teacher: Teacher, clips: Sequence[ClipFrames], most: int, size: tuple[int, int], folder: Path, words: str
) -> list[Taught]:
    """Let a teacher segment frames of every clip; the clips that were finished before are read from their files.

    Args:
        teacher: Who segments.
        clips: The clips.
        most: How many frames of a clip at most, spread evenly over it.
        size: (height, width) of the masks in pixels.
        folder: One file for each clip is kept here.
        words: What is being done, for the progress.

    Returns:
        The masks of each clip.
    """
    taught = []
    with progress(len(clips), words) as advance:
        for number, frames in enumerate(clips):
            path = folder / f"{number:05d}.npz"
            if not path.is_file():
                positions = np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(np.int64)
                found = list(teacher(number, frames, positions.tolist()))
                masks = np.stack([resize(mask, size) for mask, _ in found])
                merits = np.asarray([one for _, one in found], dtype=np.float32)
                with whole_file(path) as part, part.open("wb") as file:
                    np.savez(file, positions=positions, masks=masks, merits=merits)
            with np.load(path) as kept:
                taught.append(Taught(kept["positions"], kept["masks"], kept["merits"]))
            advance()
    return taught
