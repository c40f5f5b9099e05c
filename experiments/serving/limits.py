"""How large a file may be that is dropped on the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backdrop.ranges import positive
from datamodules.readers import is_image
from datamodules.readers.video_file import best_stream, open_video
from datamodules.readers.videos import VideoFrames

_FASTEST = 60  # frames a second


@dataclass(frozen=True)
class Limits:
    """What is refused before it is decoded.

    Attributes:
        megabytes: Of the file.
        megapixels: Of the image, or of each frame of the clip.
        seconds: Of the clip.

    Raises:
        ValueError: If one is not above 0.
    """

    megabytes: float = 100
    megapixels: float = 25
    seconds: float = 30

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        positive(self, megabytes=self.megabytes, megapixels=self.megapixels, seconds=self.seconds)

    def refusal(self, path: Path) -> str | None:
        """Why a file is too large, in one sentence; None where it is not.

        Only its header is read.

        Args:
            path: An image or a video.

        Raises:
            ValueError: If it cannot be read.
        """
        size = path.stat().st_size / 1e6
        if size > self.megabytes:
            return f"The file has {size:.1f} MB, more than {self.megabytes:g}: make it smaller."
        width, height = _image_size(path) if is_image(path) else _video_size(path)
        if (pixels := width * height / 1e6) > self.megapixels:
            return f"It has {width}x{height} = {pixels:.1f} megapixels, more than {self.megapixels:g}: scale it down."
        if is_image(path):
            return None
        count, length = len(VideoFrames(path)), _length(path)
        if length > self.seconds or count > self.seconds * _FASTEST:
            return f"The clip lasts {length:.0f} s ({count} frames), more than {self.seconds:g} s: cut it."
        return None


def _image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image, as its header has it.

    Raises:
        ValueError: If it has none that can be read.
    """
    try:
        with Image.open(path) as file:
            return file.width, file.height
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError("it is no image that can be read") from error


def _video_size(path: Path) -> tuple[int, int]:
    """(width, height) of a video, as its header has it.

    Raises:
        ValueError: If it is none.
    """
    with open_video(path) as file:
        stream = best_stream(file)
        return stream.width, stream.height


def _length(path: Path) -> float:
    """How long a video lasts, in seconds; 0 where it does not say."""
    with open_video(path) as file:
        return float((file.duration or 0) / 1e6)
