"""``prepare``: decode the frames of a data set into the store, before any training."""

from __future__ import annotations

from pytorch_lightning import LightningDataModule

from backdrop.errors import RunError
from datamodules import FramesDataModule
from experiments.signatures import Data


def prepare(data: Data[LightningDataModule]) -> None:
    """Decode the frames of a data set into the store; the first fit does it too.

    Name a video or a folder first (prepare VIDEOS), or a data set by the options of fit.

    Args:
        data: Built from the options of fit.

    Raises:
        RunError: If the data module keeps no frames in the store.
    """
    if not isinstance(data, FramesDataModule):
        raise RunError(f"{type(data).__name__} keeps no frames in the store: there is nothing to prepare.")
    print(f"{type(data).__name__}: {data.prepare()}")
