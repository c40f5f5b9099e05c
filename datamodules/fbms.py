"""FbmsDataModule: FBMS-59."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backdrop.settings import Measurement, Place
from datamodules.base import FramesDataModule
from datamodules.sets.fbms import Fbms


class FbmsDataModule(FramesDataModule):
    """FBMS-59; :class:`datamodules.sets.fbms.Fbms` says how it lies on disk, and how it is split.

    Args:
        root: The folder that holds Trainingset and Testset.
        clips: Names of the clips to train and test on; None follows the two parts.
        background_regions: Regions that are background, by clip; region 0 in all others. None takes the four clips that
            are known to have several.
        **kwargs: Options of :class:`datamodules.base.FramesDataModule`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        root: Place[str],
        clips: list[str] | None = None,
        background_regions: Measurement[dict[str, list[int]] | None] = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        regions = () if background_regions is None else (background_regions,)
        given = (Path(root), clips, self.image_size, *regions)
        self.data_set = Fbms(*given, val_share=self.val_share, findings=self.findings)
