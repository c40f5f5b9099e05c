"""What is random in a training: it follows from the seed, the epoch, the batch or frame, and the process.

Nothing of it depends on what was drawn before. So a training that is resumed at any batch goes on as if it had not been
interrupted, with any number of loader workers, and no two processes draw the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sized
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DistributedSampler


class Sample(NamedTuple):
    """A frame to train on.

    Attributes:
        position: Its position in the dataset.
        seed: Of what the loader draws for it; None leaves that to torch's random state.
    """

    position: int
    seed: int | None = None


def mixed(*numbers: int) -> int:
    """One seed of 63 bits that follows from several numbers, none below 0; other numbers give an unrelated one."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1


def seed_all(seed: int) -> None:
    """Begin the random states of torch, on all devices, of numpy and of Python anew.

    Args:
        seed: At least 0.
    """
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


class TrainingOrder(DistributedSampler[Any]):
    """The frames of an epoch in random order, this process's share of them, each with a seed of its own.

    Args:
        frames: The dataset.
        seed: Of the training.
        process: Which of the processes this is.
        processes: How many there are; each draws other frames, and some a frame once more so that all have as many.
    """

    def __init__(self, frames: Sized, seed: int, process: int = 0, processes: int = 1) -> None:
        super().__init__(frames, processes, process, shuffle=True, seed=mixed(seed))  # type: ignore[arg-type]
        self._skipped = 0

    def begin(self, epoch: int, frames: int) -> None:
        """Begin the next pass elsewhere.

        Args:
            epoch: Epochs completed before.
            frames: Frames of this process that are done in this epoch; where that is all, the next one begins.
        """
        done = frames >= len(self)
        self.epoch, self._skipped = epoch + done, 0 if done else frames

    def __iter__(self) -> Iterator[Sample]:
        """The next pass; the one after it is of the next epoch, unless ``set_epoch`` says otherwise."""
        epoch, positions = self.epoch, list(super().__iter__())[self._skipped :]
        self.epoch, self._skipped = epoch + 1, 0
        return (Sample(at, mixed(self.seed, epoch, at, self.rank)) for at in positions)
