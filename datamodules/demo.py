"""DemoDataModule: drawn figures in front of a drawn scene; needs no files and knows every mask exactly."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np

from backdrop.settings import Measurement
from datamodules.base import FramesDataModule, Split
from datamodules.clips.clip import Clip, Mask
from datamodules.readers import Broken, Keep, Pixels, resize
from datamodules.sets.demo.camera import PRESETS, Preset
from datamodules.sets.demo.render import VERSION, DemoClip, render, render_objects


class DemoDataModule(FramesDataModule):
    """One drawn person at a time in front of one drawn street scene, filmed like footage.

    One seed is one large scene, the same in all clips (the paper's setting: one subject at a time in front of the
    same scene); every clip has a figure of its own, so training, validation and test share none. Seated and standing
    bystanders belong to the scene. Masks are exact and do not include the shadow.

    With ``figures`` above 1 as many walk side by side, each on a stretch of its own and in its own way (paper, Fig. 4);
    evaluation batches then say which is which (``objects``). The first figure of a clip looks as it does alone.

    Frames are drawn once, into the frame store; masks are drawn anew whenever they are asked for.

    Args:
        preset: Camera: "static" stands still, "ptz" pans and zooms to keep the subject near the centre, "handheld"
            drifts, rolls and shakes while the subject roams over the frame.
        seed: Scene and figures; another image_size makes another scene of the same seed.
        train_clips: Clips to train on.
        val_clips: Clips to validate on.
        test_clips: Clips to test on.
        frames_per_clip: Frames in each clip, a tenth of a second apart.
        image_size: Frame and evaluation size (height, width) in pixels.
        figures: Figures in each clip, 1, 2 or 3.
        **kwargs: Options of :class:`datamodules.base.FramesDataModule`.

    Raises:
        ValueError: If the preset is unknown, there are no frames, or not 1 to 3 figures.
    """

    def __init__(
        self,
        preset: Measurement[Preset] = "handheld",
        seed: Measurement[int] = 0,
        train_clips: int = 24,
        val_clips: int = 4,
        test_clips: Measurement[int] = 6,
        frames_per_clip: Measurement[int] = 48,
        image_size: Measurement[tuple[int, int]] = (384, 512),
        figures: Measurement[Literal[1, 2, 3]] = 1,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(image_size, **kwargs)
        if preset not in PRESETS:
            raise ValueError(f"There is no camera preset '{preset}': choose one of {', '.join(PRESETS)}.")
        if frames_per_clip < 1:
            raise ValueError(f"frames_per_clip must be at least 1, got {frames_per_clip}.")
        if figures not in (1, 2, 3):
            raise ValueError(f"figures must be 1, 2 or 3, got {figures}.")
        self.preset = preset
        self.figures = figures
        self.seed = seed
        self.clip_counts: dict[Split, int] = {"train": train_clips, "val": val_clips, "test": test_clips}
        self.frames_per_clip = frames_per_clip

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

    def _demo_clips(self, split: Split) -> list[DemoClip]:
        return [
            DemoClip(self.preset, self.seed, split, number, self.frames_per_clip, self.image_size, self.figures)
            for number in range(self.clip_counts[split])
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
        values = asdict(self.clip)
        if self.clip.figures == 1:
            del values["figures"]  # frames that were stored before there could be several
        yield repr((VERSION, sorted(values.items())))

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
