"""DemoDataModule: drawn figures in front of a drawn scene."""

from __future__ import annotations

from typing import Any, Literal

from backdrop.settings import Measurement
from datamodules.base import FramesDataModule
from datamodules.sets.demo import Demo
from datamodules.sets.demo.camera import Preset


class DemoDataModule(FramesDataModule):
    """Drawn figures that need no files; :class:`datamodules.sets.demo.Demo` says what they show.

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
        ValueError: If an argument is out of range.
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
        given = (preset, seed, train_clips, val_clips, test_clips, frames_per_clip, self.image_size, figures)
        self.data_set = Demo(*given, val_share=self.val_share, findings=self.findings)
