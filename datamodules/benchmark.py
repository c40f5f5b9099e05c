"""BenchmarkDataModule: what the data modules of public benchmarks have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from backdrop.settings import Place
from datamodules.base import FramesDataModule
from datamodules.sets.benchmark import Benchmark


class BenchmarkDataModule(FramesDataModule):
    """A public benchmark; its data set says how it lies on disk, and how it is split.

    Args:
        root: Its folder.
        clips: Names of the clips to train and test on; None takes all.
        **kwargs: Options of :class:`datamodules.base.FramesDataModule`.

    Raises:
        ValueError: If an argument is out of range.
    """

    kind: ClassVar[type[Benchmark]]

    def __init__(self, root: Place[str], clips: list[str] | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        given = (Path(root), clips, self.image_size)
        self.data_set = self.kind(*given, val_share=self.val_share, findings=self.findings)
