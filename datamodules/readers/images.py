"""Image files, and folders of them as clips."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

from datamodules.readers.names import frame_number, image_names
from datamodules.readers.source import Broken, Keep, Pixels, disk_failed, file_identity, ignore


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Scale an image, by area averaging where it shrinks.

    Args:
        image: (H, W) or (H, W, 3), uint8.
        size: Output (height, width) in pixels.

    Returns:
        The scaled image, uint8.
    """
    if image.shape[:2] == tuple(size):
        return image
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=method), dtype=np.uint8)


def read_image(path: Path | str, size: tuple[int, int] | None = None) -> Pixels:
    """Read one image upright (EXIF orientation honoured).

    Args:
        path: The image file.
        size: Output (height, width) in pixels; None keeps the original size.

    Returns:
        RGB, uint8, (H, W, 3).

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the disk fails or forbids it.
        ValueError: If the file is no complete image; the message names it.
    """
    try:
        with Image.open(path) as file:
            image = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    except FileNotFoundError:
        raise FileNotFoundError(f"No image at {path}.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the image's
            raise disk_failed(path, error) from error
        raise ValueError(f"Cannot read the image {path} ({error}): replace or delete the file.") from error
    return image if size is None else resize(image, size)


class ImageFrames:
    """The images of one folder as a clip, in natural order.

    A frame's number is the last number in its file name where every file has one and they ascend, else its position
    from 0.

    Args:
        folder: Folder that holds the images directly.
        names: File names of the images to use; None takes all of the folder.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
    """

    def __init__(self, folder: Path | str, names: Sequence[str] | None = None) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"No folder at {self.folder}.")
        self.names = image_names(self.folder) if names is None else list(names)
        if not self.names:
            raise FileNotFoundError(f"No image in {self.folder}: expected files such as 000001.jpg directly inside.")
        numbers = [frame_number(stem) for stem in self.stems()]
        known = [number for number in numbers if number is not None]
        ascend = all(first < second for first, second in pairwise(known))
        self.indices = known if len(known) == len(numbers) and ascend else list(range(len(self.names)))

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.names)

    def stems(self) -> Iterator[str]:
        """File names without suffix, in order."""
        return (os.path.splitext(name)[0] for name in self.names)

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (original frame number, RGB uint8 (H, W, 3)) in order; see :meth:`FrameSource.frames`."""
        wanted = read = False
        for position, (index, name) in enumerate(zip(self.indices, self.names, strict=True)):
            if keep is not None and not keep(position, index):
                continue
            wanted = True
            try:
                image = read_image(self.folder / name, size)
            except (FileNotFoundError, ValueError) as error:
                if broken is None:
                    raise
                broken(index, str(error))
                continue
            read = True
            yield index, image
        if wanted and not read and broken is not None:
            raise ValueError(f"No image in {self.folder} can be read: replace them.")

    def identity(self) -> Iterator[str]:
        """Every image with its size and time of change; see :meth:`FrameSource.identity`."""
        folder = str(self.folder)
        return (file_identity(os.path.join(folder, name)) for name in self.names)

    def frame_size(self, frame_number: int) -> tuple[int, int]:
        """(height, width) of an upright frame in pixels, by its original number; its pixels are not read."""
        with Image.open(self.folder / self.names[self.indices.index(frame_number)]) as file:
            turned = file.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # a quarter, or mirrored at a diagonal
            return file.size if turned else (file.height, file.width)

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the upright first frame that can be read, in pixels."""
        _, image = next(self.frames(broken=ignore))
        return int(image.shape[0]), int(image.shape[1])
