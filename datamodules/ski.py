"""SkiDataModule: Ski-PTZ, one skier and six cameras that pan, tilt and zoom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backdrop.settings import Measurement, Place
from datamodules.base import FramesDataModule
from datamodules.sets.ski import Ski


class SkiDataModule(FramesDataModule):
    """Ski-PTZ; :class:`datamodules.sets.ski.Ski` says how it lies on disk, and which skiers are for what.

    Args:
        root: The folder that holds Videos_Small, or train and test.
        studies: Which recordings to use of 1 (the paper's) and 3; full frames only.
        whole_skier: Train on frames only in which the camera sees the whole skier, where the cameras and markers are
            there to tell (as in the paper: all joints in the frame and at least 56 pixels both ways).
        **kwargs: Options of :class:`datamodules.base.FramesDataModule`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        root: Place[str],
        studies: Measurement[tuple[int, ...]] = (1,),
        whole_skier: Measurement[bool] = True,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.data_set = Ski(Path(root), studies, whole_skier, val_share=self.val_share, findings=self.findings)
