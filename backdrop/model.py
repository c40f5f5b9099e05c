"""A model that was loaded: pictures and videos in, results out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from backdrop.batches import MOST, batches
from backdrop.errors import one_line
from backdrop.found import Engine, Pixels
from backdrop.ranges import at_least
from backdrop.result import Result

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = str | os.PathLike[str] | NDArray[np.uint8] | Image


class Frame(Protocol):
    """A frame of a video."""

    @property
    def number(self) -> int:
        """Its place in the video, counted from 0."""

    @property
    def image(self) -> Pixels:
        """RGB, (H, W, 3), upright."""

    @property
    def start(self) -> Fraction | None:
        """When it is shown, in seconds; None where the file does not say."""


@dataclass(frozen=True)
class _Given:
    """A picture of the user's, as pixels, with the name of its file, if it has one."""

    number: int
    name: str
    image: Pixels


@dataclass(frozen=True)
class Reader:
    """How a model reads files.

    Attributes:
        image: Reads an image, RGB, uint8, (H, W, 3), upright.
        video: (file, stride, told of each frame that cannot be read) -> the frames of a video, in constant memory.
    """

    image: Callable[[Path], Pixels]
    video: Callable[[Path, int, Callable[[int, str], object]], Iterator[Frame]]


class Model:
    """A trained model, or an exported one: :func:`backdrop.load` makes it.

    Args:
        engine: What finds the subjects.
        reader: How files are read.
        threshold: Mask values from here on count as subject, in (0, 1).

    Raises:
        ValueError: If the threshold is out of its range.
    """

    def __init__(self, engine: Engine, reader: Reader, threshold: float = 0.5) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}, expected a number between 0 and 1")
        self.engine, self.threshold, self._reader = engine, threshold, reader

    @overload
    def __call__(self, image: Picture) -> Result: ...  # type: ignore[overload-overlap]  # a path is no list

    @overload
    def __call__(self, image: Sequence[Picture]) -> list[Result]: ...

    def __call__(self, image: Picture | Sequence[Picture]) -> Result | list[Result]:
        """Find the subject of a picture, or of each of several.

        Args:
            image: A path, an array (uint8, RGB (H, W, 3) or grey (H, W)), a PIL image, or a list of these. Files and
                PIL images are turned upright, by their EXIF orientation.

        Returns:
            A result; of a list, a list of results in its order.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If a file is no complete image, or an array is of another shape or type.
        """
        if isinstance(image, list | tuple):
            given = (self._given(number, one) for number, one in enumerate(image))
            return [result for batch in batches(given) for result in self._results(batch)]
        return self._results([self._given(0, image)])[0]  # type: ignore[arg-type]  # a sequence is a list or tuple

    def video(self, path: str | os.PathLike[str], stride: int = 1, batch: int = MOST) -> Iterator[Result]:
        """Find the subject of each frame of a video, in constant memory at any length.

        Args:
            path: The video.
            stride: Takes every such frame, from the first one on.
            batch: Most frames that the model sees at once; of large frames it sees fewer.

        Returns:
            A generator of results, one for each frame, with its number and its time. Frames that cannot be read are
            left out, and a warning at the end says how many.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is no video, or none of its frames can be read, or an argument is out of its range.
        """
        at_least(1, self, stride=stride, batch=batch)
        if stride != int(stride):
            raise ValueError(f"stride of Model is {stride}, expected a whole number.")
        return self._of_video(Path(path), stride, batch)

    def _of_video(self, path: Path, stride: int, batch: int) -> Iterator[Result]:
        """The generator of :meth:`video`."""
        lost = dict[int, str]()
        for frames in batches(self._reader.video(path, stride, lost.setdefault), batch):
            for frame, found in zip(frames, self.engine([frame.image for frame in frames]), strict=True):
                time = None if frame.start is None else float(frame.start)
                yield Result(frame.image, tuple(found), path.name, frame.number, time, threshold=self.threshold)
        if lost:
            what = f"{len(lost)} frames of {path} cannot be read and are left out"
            warnings.warn(f"{what}: {next(iter(lost.values()))}", stacklevel=2)

    def _results(self, given: Sequence[_Given]) -> list[Result]:
        """Results of a few pictures."""
        return [
            Result(one.image, tuple(found), one.name, one.number, threshold=self.threshold)
            for one, found in zip(given, self.engine([one.image for one in given]), strict=True)
        ]

    def _given(self, number: int, image: Picture) -> _Given:
        name = Path(image).name if isinstance(image, str | os.PathLike) else ""
        return _Given(number, name, self._pixels(image))

    def _pixels(self, image: Picture) -> Pixels:
        """RGB, uint8, (H, W, 3), of what a user calls an image."""
        if isinstance(image, str | os.PathLike):
            if Path(image).is_dir():
                raise ValueError(f"{Path(image)} is a folder, expected an image: give a list of its files.")
            return self._reader.image(Path(image))
        if isinstance(image, np.ndarray):
            return _of_array(image)
        if hasattr(image, "getexif"):
            return _of_picture(image)
        kind = type(image).__name__
        raise ValueError(f"The image is of the type {kind}, expected a path, a uint8 array (H, W, 3) or a PIL image.")


def _of_array(image: NDArray[np.uint8]) -> Pixels:
    """RGB of an array, grey or RGB.

    Raises:
        ValueError: If it is neither, or not of bytes.
    """
    what = f"The image is an array of {image.dtype} and shape {image.shape}"
    if image.dtype != np.uint8:
        raise ValueError(f"{what}, expected uint8: scale it to 0 to 255 and call .astype('uint8').")
    if image.ndim == 2 and image.size:
        return np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"{what}, expected RGB (H, W, 3) or grey (H, W).")
    return image


def _of_picture(image: Image) -> Pixels:
    """RGB of a PIL image, upright.

    Raises:
        ValueError: If it has more than 8 bits a channel, or its file is not complete.
    """
    from PIL import ImageOps

    if image.mode.startswith("I") or image.mode == "F":
        what = f"The image is a PIL image of mode {image.mode}, which has more than 8 bits a pixel"
        raise ValueError(f"{what}: save it as a file and give its path, or convert it to RGB.")
    try:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError) as error:  # PIL reads a file when its pixels are wanted
        raise ValueError(f"The PIL image cannot be read ({one_line(error)}).") from error
