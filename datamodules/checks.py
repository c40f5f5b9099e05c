"""Signs that a user's recordings will hardly train: too few frames, all alike, too small a subject."""

from __future__ import annotations

import numpy as np

from datamodules.clips.problems import counted
from datamodules.dataset import FrameDataset

FEW_FRAMES = 300
"""Fewer distinct frames than this make a warning."""

FEW_WITH_TARGETS = 35
"""The same where frames have training targets: no shorter clip was measured with them (docs/results/davis.md)."""

SMALL_SUBJECT = 0.2
"""Smallest box of the paper's best setting, as a fraction of the frame."""

_SAMPLES = 8
_ALIKE = 1.0


def frame_warnings(dataset: FrameDataset, apart: int = 0, few: int = FEW_FRAMES) -> list[str]:
    """Look at training frames.

    Args:
        dataset: The training split.
        apart: Number of frames of the clips that only validate and test.
        few: Fewer frames than this make a warning.

    Returns:
        One sentence for each problem: few frames, frames that hardly differ.
    """
    found = []
    if len(dataset) < few:
        only = f"Only {counted(len(dataset), 'training frame')}: expect little below some {few}"
        more = f"; {apart} more are for validation and test only, which splits.json changes" if apart else ""
        found.append(f"{only}{more}.")
    clips = dataset.clips[:: max(1, len(dataset.clips) // _SAMPLES)]
    samples = [clip.read(range(0, len(clip), max(1, len(clip) // _SAMPLES))) for clip in clips]
    within = max(float(sample.std(axis=0, dtype=np.float32).mean()) for sample in samples)  # grey levels of 0 to 255
    between = float(np.std([sample.mean(axis=0, dtype=np.float32) for sample in samples], axis=0).mean())
    if max(within, between) < _ALIKE:
        found.append("The training frames hardly differ: without a moving subject nothing can be learned.")
    return found


def subject_warnings(dataset: FrameDataset) -> list[str]:
    """Look at annotated subjects.

    Args:
        dataset: A validation or test split.

    Returns:
        One sentence if the median subject spans less than the smallest box both ways; empty without masks.
    """
    spans = []
    for masks in dataset.masks or []:
        for position in np.flatnonzero(masks.annotated):
            mask = masks[int(position)]
            if mask.any():
                lines = (np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0)))
                spans.append(max((np.ptp(line) + 1) / size for line, size in zip(lines, mask.shape, strict=True)))
    if not spans or np.median(spans) >= SMALL_SUBJECT:
        return []
    return [
        f"The annotated subject spans only {np.median(spans):.0%} of the frame, the smallest box {SMALL_SUBJECT:.0%}: "
        "crop the frames or lower s_min."
    ]
