"""CdnetDataModule: CDnet-2014."""

from __future__ import annotations

from datamodules.benchmark import BenchmarkDataModule
from datamodules.sets.cdnet import Cdnet


class CdnetDataModule(BenchmarkDataModule):
    """CDnet-2014; :class:`datamodules.sets.cdnet.Cdnet` says how it lies on disk, and what its codes mean."""

    kind = Cdnet
