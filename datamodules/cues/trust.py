"""How far the targets of some clips are to be trusted, without a label: where the cues agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AGREE = 0.5
"""Least trust of a frame whose cues agree, see :class:`datamodules.cues.fusion.Fused`."""

_DOUBTFUL, _LITTLE = 0.6, 0.3  # shares of the frames


@dataclass(frozen=True)
class Trust:
    """Trust in the targets of a training.

    Attributes:
        frames: How many frames were trained on.
        agree: Share of them, in [0, 1], whose cues agree, that is whose trust is at least :data:`AGREE`.
        clips: The same share by clip.
        features: What gave the features, by name.
    """

    frames: int
    agree: float
    clips: dict[str, float]
    features: str

    @classmethod
    def of(cls, clips: Iterable[tuple[str, NDArray[np.floating]]], features: str) -> Trust:
        """Count them.

        Args:
            clips: Name and the trust of each frame, (N,), in [0, 1]; at least one frame in all.
            features: What gave the features, by name.

        Returns:
            The trust.
        """
        found = {name: values for name, values in clips if len(values)}
        every = np.concatenate(list(found.values()))
        by_clip = {name: round(_share(values), 4) for name, values in found.items()}
        return cls(len(every), _share(every), by_clip, features)

    def sentence(self) -> str:
        """What it means, in words."""
        share = f"The cues agree with the target in {self.agree:.0%} of {self.frames} training frames"
        if self.agree >= _DOUBTFUL:
            return f"{share}: the masks of these clips should be good."
        if self.agree >= _LITTLE:
            return f"{share}: look at the masks before you use them."
        return f"{share}: the masks are probably wrong; the README lists the footage on which this method fails."


def _share(trust: NDArray[np.floating]) -> float:
    return float((trust >= AGREE).mean())
