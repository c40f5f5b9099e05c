"""The demo: drawn figures in front of a drawn scene; needs no files and knows every mask exactly."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from backdrop.ranges import at_least, one_of, require
from datamodules.clips.clip import Clip, Mask
from datamodules.clips.splits import Split
from datamodules.readers import Broken, Keep, Pixels, resize
from datamodules.sets.data_set import DataSet
from datamodules.sets.demo.camera import PRESETS, Preset
from datamodules.sets.demo.render import VERSION, DemoClip, render, render_objects


@dataclass(eq=False)
class Demo(DataSet):
    """One drawn person at a time in front of one drawn street scene, filmed like footage.

    One seed is one large scene, the same in all clips (the paper's setting: one subject at a time in front of the
    same scene); every clip has a figure of its own, so training, validation and test share none. Seated and standing
    bystanders belong to the scene. Masks are exact and do not include the shadow.

    With ``figures`` above 1 as many walk side by side, each on a stretch of its own and in its own way (paper, Fig. 4);
    evaluation batches then say which is which (``objects``). The first figure of a clip looks as it does alone.

    Frames are drawn once, into the frame store; masks are drawn anew whenever they are asked for.

    Attributes are the arguments of :class:`datamodules.demo.DemoDataModule`, and those of every data set; there is no
    root.
    """

    root: Path = field(default=Path(), init=False)
    preset: Preset = "handheld"
    seed: int = 0
    train_clips: int = 24
    val_clips: int = 4
    test_clips: int = 6
    frames_per_clip: int = 48
    image_size: tuple[int, int] = (384, 512)
    figures: Literal[1, 2, 3] = 1

    def __post_init__(self) -> None:
        """Check the attributes."""
        super().__post_init__()
        one_of(PRESETS, self, preset=self.preset)
        at_least(0, self, train_clips=self.train_clips, val_clips=self.val_clips, test_clips=self.test_clips)
        at_least(1, self, frames_per_clip=self.frames_per_clip)
        require(self, self.figures in (1, 2, 3), "figures", self.figures, "1, 2 or 3")

    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not drawn yet.
        """
        return [
            Clip(demo.name, DrawnFrames(demo), {frame: partial(_mask, demo, frame) for frame in range(demo.frames)})
            for demo in self._demo_clips(split)
        ]

    def identity(self) -> str:
        """What the clips show, as there is no root."""
        return repr(self)

    def _demo_clips(self, split: Split) -> list[DemoClip]:
        count = {"train": self.train_clips, "val": self.val_clips, "test": self.test_clips}[split]
        return [
            DemoClip(self.preset, self.seed, split, clip_index, self.frames_per_clip, self.image_size, self.figures)
            for clip_index in range(count)
        ]


class DrawnFrames:
    """The frames of one demo clip, drawn when they are read; see :class:`datamodules.readers.FrameSource`.

    Args:
        clip: What to draw.
    """

    def __init__(self, clip: DemoClip) -> None:
        self.clip = clip

    def __len__(self) -> int:
        """Number of frames."""
        return self.clip.frames

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (frame number, RGB uint8 (H, W, 3)) in order; see :meth:`FrameSource.frames`."""
        for frame, (pixels, _) in enumerate(render(self.clip)):
            if keep is None or keep(frame, frame):
                yield frame, pixels if size is None else resize(pixels, size)

    def identity(self) -> Iterator[str]:
        """Everything that the pictures depend on; see :meth:`FrameSource.identity`."""
        yield repr((VERSION, sorted(asdict(self.clip).items())))

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the frames in pixels."""
        return self.clip.image_size


def _mask(clip: DemoClip, frame: int) -> Mask:
    """Exact mask of one frame, (H, W): bool, or the figures' numbers where there are several."""
    objects = np.frombuffer(zlib.decompress(_objects(clip)[frame]), np.uint8).reshape(clip.image_size)
    return objects > 0 if clip.figures == 1 else objects


@lru_cache(maxsize=1)
def _objects(clip: DemoClip) -> list[bytes]:
    """The masks of one clip, compressed: they are asked for clip by clip."""
    return [zlib.compress(objects.tobytes(), level=1) for objects in render_objects(clip)]
