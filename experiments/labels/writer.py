"""What every label format does: it is told of one frame after the other, and holds none of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from experiments.labels.frame import LabelledFrame


class Writer(ABC):
    """Writes the labels of one format into a folder of their own.

    Args:
        folder: The folder; made, with that of the pictures.
        category: What the subject is called.
    """

    pictures: ClassVar[str] = "images"
    """Where the frames lie in the folder, as the format wants it."""

    def __init__(self, folder: Path, category: str) -> None:
        self.folder, self.category = folder, category
        (folder / self.pictures).mkdir(parents=True)

    @abstractmethod
    def add(self, frame: LabelledFrame) -> None:
        """Write the labels of a frame.

        Args:
            frame: The next one.
        """

    def close(self) -> None:  # noqa: B027  # some have nothing left to do
        """Write what can be written only when all frames are known."""
