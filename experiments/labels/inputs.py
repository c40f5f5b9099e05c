"""What labels are made of: images, folders and videos, of which one may be broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backdrop.errors import RunError
from backdrop.found import Pixels
from datamodules.readers import Broken, ImageFrames, VideoFrames, is_video, natural_key
from experiments.prediction.footage import file_names, open_input


@dataclass(frozen=True)
class Shot:
    """A frame of an input.

    Attributes:
        number: Original frame number.
        name: What its picture should be called.
        image: RGB, (H, W, 3), upright.
        time: When it is shown, in seconds; None for images.
    """

    number: int
    name: str
    image: Pixels
    time: float | None


class Input:
    """An image, a folder of images or a video.

    Args:
        path: Where it is.
        every: Takes every such frame, from the first one on.

    Raises:
        RunError: If there is nothing, or nothing readable.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self._every = path, every
        self.frames: ImageFrames | VideoFrames = open_input(path)

    def __len__(self) -> int:
        """Number of frames that are taken, as far as the file says it."""
        return -(-len(self.frames) // self._every)

    def shots(self, broken: Broken) -> Iterator[Shot]:
        """Read the frames.

        Args:
            broken: Told of every frame that cannot be read.

        Raises:
            ValueError: If none can be read.
            OSError: If the disk fails.
        """
        if isinstance(self.frames, VideoFrames):
            for frame in self.frames.timed_frames(broken, self._taken):
                time = None if frame.start is None else float(frame.start)
                yield Shot(frame.number, f"{self.path.stem}_{frame.number:06d}", frame.image, time)
            return
        names = file_names(self.frames)
        folder = f"{self.path.name}_" if self.path.is_dir() else ""
        for number, image in self.frames.frames(keep=self._taken, broken=broken):
            yield Shot(number, folder + Path(names[number]).stem, image, None)

    def _taken(self, position: int, _number: int) -> bool:
        """Whether a frame is taken."""
        return position % self._every == 0


def listed(paths: Sequence[Path]) -> list[Path]:
    """The inputs that a user means: in place of a folder that holds videos, each of these.

    Args:
        paths: Images, folders of images or of videos, and videos.
    """
    found = list[Path]()
    for path in paths:
        videos = sorted(filter(is_video, path.iterdir()), key=natural_key) if path.is_dir() else []
        found += videos or [path]
    return list(dict.fromkeys(found))


def opened(paths: Sequence[Path], every: int) -> tuple[list[Input], dict[Path, str]]:
    """Open all inputs.

    Args:
        paths: See :func:`listed`.
        every: Takes every such frame of each.

    Returns:
        Those that can be read, and why the others cannot.

    Raises:
        RunError: If none can be read.
    """
    inputs, skipped = list[Input](), dict[Path, str]()
    for path in listed(paths):
        try:
            inputs.append(Input(path, every))
        except RunError as error:
            skipped[path] = str(error)
    if not inputs:
        raise RunError(next(iter(skipped.values())))
    return inputs, skipped
