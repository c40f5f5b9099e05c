"""SbiDataModule: SBI."""

from __future__ import annotations

from datamodules.benchmark import BenchmarkDataModule
from datamodules.sets.sbi import Sbi


class SbiDataModule(BenchmarkDataModule):
    """SBI; :class:`datamodules.sets.sbi.Sbi` says how it lies on disk."""

    kind = Sbi
