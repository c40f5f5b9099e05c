"""H36mDataModule: Human3.6M, one person in a studio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backdrop.settings import Measurement, Place
from datamodules.base import FramesDataModule
from datamodules.sets.h36m import H36m


class H36mDataModule(FramesDataModule):
    """Human3.6M; :class:`datamodules.sets.h36m.H36m` says how it lies on disk, and which subjects are for what.

    Args:
        root: The folder that holds S1, S5, ..., or that with the training and the test part.
        every_nth: Keep frames 1, n + 1, 2n + 1, ... of the 50 a second (the paper: 10 a second); the preprocessed
            layout is used as it is.
        silhouettes: Evaluate masks against the silhouettes, which are rough (background subtraction).
        image_size: Evaluation size (height, width) in pixels; the paper's.
        **kwargs: Options of :class:`datamodules.base.FramesDataModule`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        root: Place[str],
        every_nth: Measurement[int] = 5,
        silhouettes: Measurement[bool] = False,
        image_size: Measurement[tuple[int, int]] = (500, 500),
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(image_size, **kwargs)
        given = (Path(root), every_nth, silhouettes, self.store.folder)
        self.data_set = H36m(*given, val_share=self.val_share, findings=self.findings)
