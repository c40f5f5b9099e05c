"""Masks whose border is cut again at the frame's own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backdrop.found import Engine, Found, Pixels


@dataclass(frozen=True)
class Refined:
    """An engine whose masks are cut again along what the frame shows; they are 0 or 1 then.

    Attributes:
        engine: What finds the subjects.
        threshold: Mask values from here on count as subject.
    """

    engine: Engine
    threshold: float

    def __call__(self, images: Sequence[Pixels]) -> list[list[Found]]:
        """See :class:`~backdrop.found.Engine`."""
        from datamodules.cues.refine import refine  # loads OR-tools, which nothing else here needs

        return [
            [replace(one, mask=refine(image, one.mask >= self.threshold).astype(np.float32)) for one in found]
            for image, found in zip(images, self.engine(images), strict=True)
        ]
