"""HandheldDataModule: Handheld190k."""

from __future__ import annotations

from datamodules.sets.handheld import Handheld
from datamodules.videos import VideosDataModule


class HandheldDataModule(VideosDataModule):
    """Handheld190k; :class:`datamodules.sets.handheld.Handheld` says how it must lie on disk, and how it is split."""

    kind = Handheld
