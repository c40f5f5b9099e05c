"""SegtrackDataModule: SegTrack v2."""

from __future__ import annotations

from datamodules.benchmark import BenchmarkDataModule
from datamodules.sets.segtrack import Segtrack


class SegtrackDataModule(BenchmarkDataModule):
    """SegTrack v2; :class:`datamodules.sets.segtrack.Segtrack` says how it lies on disk."""

    kind = Segtrack
