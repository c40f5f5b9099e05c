"""Data modules: where the frames come from.

The classes are loaded when they are asked for, so that a data set can be read without Lightning: see datamodules/sets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.base import FramesDataModule
    from datamodules.cdnet import CdnetDataModule
    from datamodules.davis import DavisDataModule
    from datamodules.demo import DemoDataModule
    from datamodules.fbms import FbmsDataModule
    from datamodules.h36m import H36mDataModule
    from datamodules.handheld import HandheldDataModule
    from datamodules.sbi import SbiDataModule
    from datamodules.segtrack import SegtrackDataModule
    from datamodules.ski import SkiDataModule
    from datamodules.videos import VideosDataModule

__all__ = [
    "CdnetDataModule",
    "DavisDataModule",
    "DemoDataModule",
    "FbmsDataModule",
    "FramesDataModule",
    "H36mDataModule",
    "HandheldDataModule",
    "SbiDataModule",
    "SegtrackDataModule",
    "SkiDataModule",
    "VideosDataModule",
]


def load_all() -> None:
    """Load the classes; only those that are loaded are known by their short names in configs."""
    for name in __all__:
        __getattr__(name)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Load a class; ``DavisDataModule`` is in datamodules/davis.py, and so on."""
    if name not in __all__:
        raise AttributeError(f"module 'datamodules' has no attribute '{name}'")
    home = "base" if name == "FramesDataModule" else name.removesuffix("DataModule").lower()
    return getattr(import_module(f"datamodules.{home}"), name)
