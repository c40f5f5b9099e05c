"""The plate of a clip whose camera stands still (the known background of Sec. 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.clips.clip import Clip
from datamodules.clips.planes import Plane
from datamodules.plates.plate import COVERED, PLATE, coverage_bytes, median_plate
from datamodules.readers import Broken, FrameSource, Keep, Pixels


@dataclass(frozen=True)
class StaticPlate:
    """Makes one plate for the whole of a clip: the per-pixel median of frames spread evenly over it.

    The evidence is each frame's own, and so it is no plane of the one plate; it is measured when the frame is read.

    Attributes:
        most: Of how many frames the median is taken at most.
    """

    planes: ClassVar[tuple[Plane, ...]] = (PLATE, COVERED)
    task: ClassVar[str] = "Making background plates (once)"
    at_once: ClassVar[int] = 2
    most: int = 101

    def kept(self, clip: Clip) -> Clip:
        """One plate, as frame 0, whichever frames of the clip are kept."""
        return Clip(f"{clip.name} plate", clip.source, chosen=frozenset({0}))

    def make(
        self, source: FrameSource, size: tuple[int, int], keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Mapping[str, Pixels]]]:
        """Yield 0 and the planes of the plate.

        Args:
            source: The clip's frames.
            size: Output (height, width) in pixels.
            keep: Asked before every frame, as it may raise to end this; whatever it answers, there is one plate.
            broken: Called with every frame that is broken among those that the median is taken of.

        Raises:
            ValueError: As the source does.
            OSError: As the source does.
        """
        every = max(1, -(-len(source) // self.most))

        def chosen(position: int, frame_number: int) -> bool:
            if keep is not None:
                keep(position, frame_number)
            return position % every == 0

        images = np.stack([image for _, image in source.frames(size, chosen, broken)])
        pixels, covered = median_plate(images, np.ones(images.shape[:3], dtype=bool))
        yield 0, {PLATE.name: pixels, COVERED.name: coverage_bytes(covered)}

    def identity(self, source: FrameSource) -> Iterator[str]:
        """That of the frames, and the settings."""
        yield from source.identity()
        yield f"static plate {self.most}"
