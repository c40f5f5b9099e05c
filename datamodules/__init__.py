"""Data modules: where the frames come from."""

from __future__ import annotations

from datamodules.base import FramesDataModule
from datamodules.davis import DavisDataModule
from datamodules.demo import DemoDataModule
from datamodules.h36m import H36mDataModule
from datamodules.handheld import HandheldDataModule
from datamodules.ski import SkiDataModule
from datamodules.videos import VideosDataModule

__all__ = [
    "DavisDataModule",
    "DemoDataModule",
    "FramesDataModule",
    "H36mDataModule",
    "HandheldDataModule",
    "SkiDataModule",
    "VideosDataModule",
]
