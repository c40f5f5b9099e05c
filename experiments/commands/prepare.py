"""``python -m experiments prepare``: decode the frames of a data set into the store, before any training."""

from __future__ import annotations

from collections.abc import Sequence

from datamodules import FramesDataModule
from experiments.errors import RunError
from experiments.runs.composition import build_data


def main(arguments: Sequence[str]) -> int:
    """The command ``prepare``.

    Args:
        arguments: What follows the command's name.

    Returns:
        Exit code.

    Raises:
        RunError: If the data module keeps no frames in the store.
    """
    data = build_data("prepare", arguments)
    if not isinstance(data, FramesDataModule):
        raise RunError(f"{type(data).__name__} keeps no frames in the store: there is nothing to prepare.")
    print(f"{type(data).__name__}: {data.prepare()}")
    return 0
