"""Image files, and folders of them as clips."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backdrop.errors import one_line
from datamodules.readers.names import frame_number, image_names
from datamodules.readers.remarks import Remark, mixed_sizes
from datamodules.readers.source import Broken, Keep, Pixels, disk_failed, file_identity, ignore, missing

if TYPE_CHECKING:
    from PIL import Image

_SQUARE = 0.01  # what the shape of a pixel may differ from 1: encoders round


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
    import cv2

    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=method), dtype=np.uint8)


@contextmanager
def open_image(path: Path | str, what: str = "image") -> Iterator[Image.Image]:
    """Open an image file of one page, and say what is wrong with it, also where the block decodes it.

    Decoding passes over PNG's check sums, and over a JPEG that ends in zeros: these are looked at first.

    Args:
        path: The file.
        what: What it is, in a message.

    Yields:
        The image, not decoded yet.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the disk fails or forbids it, or there is not enough memory.
        ValueError: If the file is no complete image of one page; the message names it.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            if file.format == "PNG":
                file.verify()
            elif file.format == "JPEG" and _zeroed_end(path):
                raise ValueError("its end is zero")
        with Image.open(path) as file:  # which cannot be read on after that
            yield _one_page(file)
    except FileNotFoundError:
        raise missing(f"No {what}", path) from None
    except Exception as error:  # what Pillow raises depends on what the file holds
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
            raise disk_failed(path, error) from error  # not the image's fault
        reason = one_line(error)
        raise ValueError(f"Cannot read the {what} {path} ({reason}): replace or delete the file.") from error


def _zeroed_end(path: Path | str) -> bool:
    """Whether a JPEG ends in zeros that stand in the place of its end marker (ITU-T T.81, B.1.1.3)."""
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\0":
            return False
        file.seek(0)
        content = file.read()
    return b"\xff\xd9" not in content[content.rfind(b"\xff\xda") :]


def _one_page(file: Image.Image) -> Image.Image:
    """The same image.

    Raises:
        ValueError: If it is the first of several.
    """
    pages = getattr(file, "n_frames", 1)
    if pages > 1 and file.format != "MPO":  # a photo with its depth or its brightness beside it
        raise ValueError(f"it holds {pages} pages, each of which must be a file of its own")
    return file


def _eight_bits(file: Image.Image, image: Image.Image) -> Image.Image:
    """The image of a file with 8 bits; of 16 the upper ones, as OpenCV and FFmpeg read it.

    Raises:
        ValueError: If nothing says which of its values is white.
    """
    from PIL import ExifTags, Image

    whole = image.mode == "I" and file.format == "PPM"  # whose greatest value Pillow makes 65535
    if image.mode.startswith("I;16") or whole:
        (bits, *_) = getattr(file, "tag_v2", {}).get(ExifTags.Base.BitsPerSample, (16,))
        if bits != 16:
            raise ValueError(f"it has {bits} bits a pixel, expected 8 or 16")
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("it has numbers of 32 bits, of which none is white: save it with 8 or 16 bits a pixel")
    return image


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
    if find_spec("PIL") is None:  # beside an exported model
        from datamodules.readers.av_image import read_image as read

        image = read(path)
    else:
        from PIL import ImageOps

        with open_image(path) as file:
            image = np.asarray(_eight_bits(file, ImageOps.exif_transpose(file)).convert("RGB"))
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
        from PIL import Image

        with Image.open(self.folder / self.names[self.indices.index(frame_number)]) as file:
            return _upright_size(file)

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the upright first frame that can be read, in pixels."""
        _, image = next(self.frames(broken=ignore))
        return int(image.shape[0]), int(image.shape[1])

    def shown_size(self) -> tuple[int, int]:
        """The same: what images say of the shape of their pixels is read in two ways (:meth:`remarks`)."""
        return self.original_size()

    def remarks(self) -> Iterator[Remark]:
        """What is not as one would guess: several sizes, and pixels that are not square. Only headers are read.

        By Pillow; where that is not installed, as beside an exported model, there is nothing to say.
        """
        if find_spec("PIL") is None:
            return
        from PIL import Image

        sizes: list[tuple[str, tuple[int, int]]] = []
        oblong: tuple[str, tuple[int, int]] | None = None
        for name in self.names:
            try:
                with Image.open(self.folder / name) as file:
                    sizes.append((name, _upright_size(file)))
                    oblong = oblong or _oblong(name, file)
            except Exception:  # what Pillow raises depends on what the file holds
                continue  # reading the frame says it
        yield from mixed_sizes(sizes)
        if oblong is not None:
            name, (x, y) = oblong
            what = f"{self.folder / name} says that its pixels are not square, {x}:{y}, which tools read in two ways"
            mend = "extract the images anew with ffmpeg -vf scale=iw*sar:ih,setsar=1"
            yield Remark("non-square pixels", f"{what}: they are taken for square; if they are not, {mend}")


def _upright_size(file: Image.Image) -> tuple[int, int]:
    """(height, width) of an image in pixels, once its orientation flag is followed."""
    from PIL import ExifTags

    turned = file.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # a quarter, or mirrored at a diagonal
    return file.size if turned else (file.height, file.width)


def _oblong(name: str, file: Image.Image) -> tuple[str, tuple[int, int]] | None:
    """The name of an image, and the shape of its pixels as its header has it, without a unit; None where it is square.

    PNG and T.871 (JFIF) write pixels per unit, x before y, so that 64:45 is a narrow pixel; FFmpeg writes and reads the
    width over the height of a pixel, so that 64:45 is a wide one.
    """
    plain = file.info.get("jfif_density") if file.info.get("jfif_unit") == 0 else None
    x, y = file.info.get("aspect") or plain or (1, 1)
    return (name, (x, y)) if x and y and abs(x / y - 1) > _SQUARE else None
