"""DavisDataModule: DAVIS-2016 and DAVIS-2017."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from backdrop.settings import Measurement, Place
from datamodules.base import FramesDataModule
from datamodules.sets.davis import Davis


class DavisDataModule(FramesDataModule):
    """DAVIS, both years; :class:`datamodules.sets.davis.Davis` says how it lies on disk, and which clips are for what.

    Args:
        root: The folder that holds JPEGImages.
        clips: Names of the clips to train and test on; None follows the official lists.
        resolution: Subfolder of JPEGImages and Annotations.
        year: Whose lists to follow: 2016 (one subject a clip) or 2017; None takes 2016's where both are there.
        object_id: Number of the object that counts as the subject; clips that do not show it are not evaluated. None
            joins all objects.
        apart: Keep the objects apart in evaluation too (``objects`` in a batch), for masks that number them.
        unsupervised: Take the masks of Annotations_unsupervised; pixels with 255 there are left out of all scores.
        **kwargs: Options of :class:`datamodules.base.FramesDataModule`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        root: Place[str],
        clips: list[str] | None = None,
        resolution: Measurement[str] = "480p",
        year: Measurement[Literal[2016, 2017] | None] = None,
        object_id: Measurement[int | None] = None,
        apart: Measurement[bool] = False,
        unsupervised: Measurement[bool] = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        given = (Path(root), clips, resolution, year, object_id, apart, unsupervised)
        self.data_set = Davis(*given, val_share=self.val_share, findings=self.findings)
