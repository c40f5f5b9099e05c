"""The frames that become labels, of one input, with the names of their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backdrop.found import Engine, Found
from datamodules.readers import Broken
from datamodules.readers.videos import TimedFrame, VideoFrames
from experiments.prediction.apply import found_in
from experiments.prediction.footage import Footage, file_names, say_remarks, timed


class Input:
    """Every n-th frame of a video, or of the images of a folder.

    Args:
        footage: Where they are.
        every: n; the first frame is taken too.

    Raises:
        RunError: If it cannot be opened.
    """

    def __init__(self, footage: Footage, every: int) -> None:
        self._every, self._frames = every, footage.open()
        self._prefix = "" if footage.images is not None else f"{footage.name}_"
        self._names = {} if isinstance(self._frames, VideoFrames) else file_names(self._frames)
        if isinstance(self._frames, VideoFrames):
            self._prefix = f"{footage.name.removesuffix(footage.path.suffix)}_"

    def __len__(self) -> int:
        """Number of frames that are taken, as far as the file says it."""
        return -(-len(self._frames) // self._every)

    def name(self, frame: TimedFrame) -> str:
        """What the picture of a frame should be called, without suffix.

        Args:
            frame: One of this input.
        """
        known = self._names.get(frame.number)
        return self._prefix + (f"{frame.number:06d}" if known is None else Path(known).stem)

    def found(self, engine: Engine, broken: Broken) -> Iterator[tuple[TimedFrame, list[Found]]]:
        """Each frame with what the model says of it, in constant memory.

        Args:
            engine: What finds the subjects.
            broken: Told of every frame that cannot be read, in another thread.

        Raises:
            ValueError: If none can be read.
            OSError: If the disk fails.
        """
        say_remarks(self._frames)
        return found_in(engine, timed(self._frames, broken, lambda position, _: position % self._every == 0))
