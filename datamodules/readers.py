"""Readers for image folders and videos: RGB frames in order, with their original numbers."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeVar

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from PIL import Image, ImageOps

Pixels = NDArray[np.uint8]
Keep = Callable[[int, int], bool]
"""(position from 0, original number) -> whether to yield the frame."""
Broken = Callable[[int, str], object]
"""(original number, reason) -> anything; told of a frame that cannot be read, which is then left out."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".wmv", ".gif"})
_LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg"})
_HEADER = 4 * 2**20  # more bytes than headers have
_TAIL = 32  # frames whose rate is that of the end of a video; decoders reorder fewer


class FrameSource(Protocol):
    """Where the frames of one clip come from."""

    def __len__(self) -> int:
        """Number of frames, exact for folders; for videos as the container states it, else as many as it holds."""

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (original frame number, RGB uint8 (H, W, 3)) in order.

        Args:
            size: Output (height, width) in pixels, by area averaging; None keeps the original size.
            keep: Which frames to yield, by position and original number; None yields all.
            broken: Told of every frame that is broken or missing; None raises at the first one.

        Raises:
            ValueError: If a frame is broken and ``broken`` is None, or if no frame at all can be read.
            OSError: If the disk fails, whatever ``broken`` is: that says nothing about the frame.
        """

    def identity(self) -> Iterator[str]:
        """Everything that the frames depend on: names of files with size and time of change, settings of the source.

        Not where the files are: a copy of them is the same source.
        """

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the upright first frame in pixels."""


Source = TypeVar("Source", bound=FrameSource)


def natural_key(path: Path | str) -> list[int | str]:
    """Sort key that puts ``frame_2`` before ``frame_10``.

    Args:
        path: A path or a name; only the last component counts.

    Returns:
        Text and number in turn, text first, so that like is compared with like.
    """
    name = path.name if isinstance(path, Path) else os.path.basename(path)
    return [int(part) if at % 2 else part for at, part in enumerate(re.split(r"(\d+)", name.lower()))]


def frame_number(stem: str) -> int | None:
    """The last number in a file name, or None: ``frame_000012`` gives 12."""
    digits = re.findall(r"\d+", stem)
    return int(digits[-1]) if digits else None


def is_image(path: Path | str) -> bool:
    """Whether the file name is that of an image."""
    name = os.path.basename(path)
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")


def is_video(path: Path) -> bool:
    """Whether the file name is that of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def list_images(folder: Path) -> list[Path]:
    """Image files directly inside ``folder``, in natural order."""
    return [folder / name for name in image_names(folder)]


def image_names(folder: Path) -> list[str]:
    """Names of the image files directly inside ``folder``, in natural order."""
    with os.scandir(folder) as files:  # says what is a file without asking for each, and makes no path of it
        return sorted((file.name for file in files if is_image(file.name) and file.is_file()), key=natural_key)


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
            raise _disk_failed(path, error) from error
        raise ValueError(f"Cannot read the image {path} ({error}): replace or delete the file.") from error
    return image if size is None else resize(image, size)


def read_mask(path: Path | str, level: int | None = None) -> NDArray[np.bool_]:
    """Read one mask: where any colour channel is above a level, there is the subject.

    Palette images are read as indices and alpha is ignored.

    Args:
        path: The mask file.
        level: Largest value of the background; None means 0, and 127 for JPEG, as compression leaves no zeros.

    Returns:
        Bool, (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no complete image; the message names it.
    """
    if level is None:
        level = 127 if Path(path).suffix.lower() in _LOSSY_SUFFIXES else 0
    mask = _mask_values(path) > level
    return np.asarray(mask.any(axis=-1) if mask.ndim == 3 else mask)


def read_objects(path: Path | str) -> NDArray[np.integer[Any]]:
    """Read one mask of several objects.

    Args:
        path: The mask file, a palette or grey image.

    Returns:
        Number of the object at every pixel, (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no complete image, or has colours instead of numbers; the message names it.
    """
    values = _mask_values(path)
    if values.ndim != 2:
        raise ValueError(f"The mask {path} has colours instead of object numbers: save it as a palette or grey image.")
    return values


def _mask_values(path: Path | str) -> NDArray[np.integer[Any]]:
    """Values of a mask file, (H, W) or (H, W, C), without alpha."""
    try:
        with Image.open(path) as file:
            opaque = {"LA": "L", "RGBA": "RGB", "PA": "RGB"}.get(file.mode)
            return np.asarray(file.convert(opaque) if opaque else file)
    except FileNotFoundError:
        raise FileNotFoundError(f"No mask at {path}.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"Cannot read the mask {path} ({error}): replace or delete the file.") from error


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Scale a mask: a pixel belongs to the subject where at least half of its area does.

    Args:
        mask: Bool, (H, W).
        size: Output (height, width) in pixels.

    Returns:
        Bool, ``size``.
    """
    if mask.shape == tuple(size):
        return mask
    return np.asarray(resize(mask.astype(np.uint8) * 255, size) >= 128)


class ImageFrames:
    """The images of one folder as a clip, in natural order.

    A frame's number is the last number in its file name where every file has its own, else its position from 0.

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
        clear = None not in numbers and len(set(numbers)) == len(numbers)
        self.indices = [int(n or 0) for n in numbers] if clear else list(range(len(self.names)))

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

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the upright first frame that can be read, in pixels."""
        _, image = next(self.frames(broken=_ignore))
        return int(image.shape[0]), int(image.shape[1])


class VideoFrames:
    """The frames of one video file, upright (the orientation flag of phone videos is honoured), counted from 0.

    Frames are numbered in the order of display; time stamps, and so a variable rate, play no part.

    Args:
        path: The video file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no video stream that can be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with _open_video(self.path) as file:
            stream = file.streams.video[0]
            self._stated = int(stream.frames)
            self._end = None if self._stated else _stated_end(file, stream)

    def __len__(self) -> int:
        """Number of frames as the container states it; of one that does not (Matroska), as many as are in the file."""
        return self._stated or len(self._held.stamps)

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (original frame number, RGB uint8 (H, W, 3)) in order; see :meth:`FrameSource.frames`.

        A broken frame takes the number that is next when the decoder meets it, which for a video with frames out of
        order may be one or two too low; the numbers after it are right again.
        """
        count = left_out = asked = 0
        read = False
        with _open_video(self.path) as file:
            stream = file.streams.video[0]
            stream.thread_type = "AUTO"
            for decoded in _decode(file, stream):
                if decoded is None:
                    left_out += 1
                    continue
                wanted = keep is None or keep(count, count)
                asked += wanted
                if isinstance(decoded, av.error.FFmpegError):
                    if broken is None:
                        what = f"Cannot decode the video {self.path} after frame {count} ({decoded.strerror})"
                        raise ValueError(f"{what}: re-encode or replace it.") from decoded
                    if wanted:
                        broken(count, f"Cannot decode frame {count} of {self.path} ({decoded.strerror}).")
                elif wanted and decoded.is_corrupt and broken is not None:
                    broken(count, f"Frame {count} of {self.path} is damaged.")
                elif wanted:
                    read = True
                    yield count, _upright(decoded, size)
                count += 1
        if not read and (count == 0 or (asked and broken is not None)):
            raise ValueError(f"The video {self.path} has no frame that can be decoded: re-encode or replace it.")
        if broken is not None:
            stated = f"{self._stated} frames" if self._stated else f"that it lasts {self._end or 0:.2f} s"
            for number in range(count, count + self._lost(count, left_out)):
                if keep is None or keep(number, number):
                    broken(number, f"{self.path} ends before it, though its header states {stated}.")

    def times(self) -> NDArray[np.float64]:
        """When every frame is shown, without decoding; the rate may vary.

        Frames that the header states but the file does not hold, as it was cut, are taken to follow at the rate of the
        last ones.

        Returns:
            Seconds from the first frame, in order, (N,).

        Raises:
            OSError: If the disk fails.
            ValueError: If there are no time stamps.
        """
        stamps = self._held.stamps
        if not len(stamps) or np.isnan(stamps).any():
            raise ValueError(f"The video {self.path} has no time stamps: re-encode it, or sample it by every_nth.")
        more = self._lost(len(stamps), self._held.left_out)
        after = stamps[-1] + _last_step(stamps) * np.arange(1, more + 1)
        return np.asarray(np.concatenate([stamps, after]) - stamps[0], dtype=np.float64)

    def _lost(self, count: int, left_out: int) -> int:
        """How many frames the header states beyond those that the file holds.

        Args:
            count: Frames that were met, those that cannot be decoded among them.
            left_out: Packets that players leave out.
        """
        if self._stated:
            return max(0, self._stated - left_out - count)
        return 0 if self._end is None else _cut_off(self._held.stamps, self._end)

    @cached_property
    def _held(self) -> _Held:
        """What the file holds, by reading its packets without decoding them."""
        packets: list[tuple[int | None, int | None]] = []
        left_out = 0
        with _open_video(self.path) as file:
            stream = file.streams.video[0]
            base = stream.time_base
            try:
                for packet in file.demux(stream):
                    left_out += packet.is_discard
                    if packet.size and not packet.is_discard:
                        packets.append((packet.pts, packet.dts))
            except av.error.FFmpegError as error:  # reading the frames will meet it again, and list what is lost
                if isinstance(error, OSError):
                    raise _disk_failed(self.path, error) from error
        # Some containers (AVI) have decoding times only, which are the times of display in another order.
        column = 1 if any(shown is None for shown, _ in packets) else 0
        stamps = [np.nan if pair[column] is None else pair[column] for pair in packets]
        return _Held(np.sort(np.asarray(stamps, dtype=np.float64)) * float(base or np.nan), left_out)

    def identity(self) -> Iterator[str]:
        """The file with its size and time of change; see :meth:`FrameSource.identity`."""
        yield file_identity(self.path)

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the upright first frame that can be read, in pixels."""
        _, image = next(self.frames(broken=_ignore))
        return int(image.shape[0]), int(image.shape[1])


def file_identity(path: Path | str) -> str:
    """Name, size in bytes and time of change in nanoseconds of a file; another text means that it has changed.

    The folder is left out, so that a copy that keeps the times is the same file.
    """
    name = os.path.basename(path)
    try:
        state = os.stat(path)
    except FileNotFoundError:
        return f"{name} missing"
    return f"{name} {state.st_size} {state.st_mtime_ns}"


@dataclass(frozen=True)
class _Held:
    """The packets of a video.

    Attributes:
        stamps: When each frame is shown, seconds on the container's clock, in order, (N,); NaN where it does not say.
        left_out: Number of packets beside them that players leave out.
    """

    stamps: NDArray[np.float64]
    left_out: int


def _stated_end(file: InputContainer, stream: av.VideoStream) -> float | None:
    """When the video ends by the header of a Matroska file, in seconds; None where that is not known.

    Other containers that state no number of frames have no duration either, or one that is measured from what is left.
    """
    if "matroska" not in file.format.name:
        return None
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:  # no such tag: the file's duration is that of its longest stream, which may be the sound
        alone = len(file.streams) == 1 and file.duration is not None
        return file.duration / av.time_base if alone and file.duration is not None else None


def _last_step(stamps: NDArray[np.float64]) -> float:
    """Seconds from frame to frame at the end of a video, holes apart; 0 where there is one frame only."""
    steps = np.diff(stamps[-_TAIL:])
    return float(steps[steps <= 1.5 * np.median(steps)].mean()) if len(steps) else 0.0


def _cut_off(stamps: NDArray[np.float64], end: float) -> int:
    """How many frames are missing at the end of a video that should last longer than it does.

    Args:
        stamps: When the frames that are there are shown, in seconds, in order, (N,).
        end: When the video should end, in seconds.

    Returns:
        0 unless more time is missing than between any two frames: a variable rate must not look like a loss.
    """
    if not len(stamps) or np.isnan(stamps).any():
        return 0
    step = _last_step(stamps)
    if step == 0 or end - stamps[-1] <= 1.5 * np.diff(stamps).max():
        return 0
    # Counted from before the last frames: some that are shown between those may be lost as well.
    tail = stamps[-_TAIL:]
    return max(1, round(float(end - tail[0]) / step) - len(tail))


def _ignore(_number: int, _reason: str) -> None:
    """Leave a broken frame out without a word; whoever reads the whole clip reports it."""


def _disk_failed(path: Path | str, error: OSError | MemoryError) -> OSError:
    """The error to raise where it is not the file's fault that it cannot be read."""
    number = error.errno if isinstance(error, OSError) else errno.ENOMEM
    reason = os.strerror(number or errno.EIO)
    return OSError(number, f"Cannot read {path} ({reason}): check the disk and the permissions.")


def _decode(file: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame | av.error.FFmpegError | None]:
    """Decode packet by packet: frames, the error of a packet that is broken, None for one that players leave out.

    Raises:
        OSError: If the disk fails.
    """
    packets = file.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            if packet.is_discard:
                yield None
            frames = packet.decode()
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise _disk_failed(file.name, error) from error
            yield error
            continue
        yield from frames


def _cut_in_its_header(path: Path, error: OSError | MemoryError) -> bool:
    """Whether opening a video fails in the same way from memory: FFmpeg calls a file that ends too soon a disk error.

    Raises:
        OSError: If the disk fails.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_HEADER)
    except OSError as failed:
        raise _disk_failed(path, failed) from failed
    try:
        av.container.open(BytesIO(head)).close()
    except (OSError, MemoryError, av.error.FFmpegError) as again:
        return type(again) is type(error)
    return False


def _open_video(path: Path) -> InputContainer:
    """Open a video with PyAV; errors name the file.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the disk fails or forbids it, or this process has too many files open or too little memory.
        ValueError: If the file is no video.
    """
    if not path.is_file():
        raise FileNotFoundError(f"No video at {path}.")
    try:
        file = av.open(str(path))
    except (OSError, MemoryError, av.error.FFmpegError) as error:
        if isinstance(error, OSError | MemoryError) and not _cut_in_its_header(path, error):
            raise _disk_failed(path, error) from error
        raise ValueError(f"Cannot open the video {path} ({error}): re-encode or replace it.") from error
    if not file.streams.video:
        file.close()
        raise ValueError(f"No video stream in {path}: is it a sound file?")
    return file


def _upright(frame: av.VideoFrame, size: tuple[int, int] | None) -> Pixels:
    """One decoded frame as upright RGB, scaled to ``size`` (height, width) by area averaging."""
    turns = round(frame.rotation / 90) % 4
    if size is None:
        image = frame.to_ndarray(format="rgb24")
    else:
        height, width = size if turns % 2 == 0 else size[::-1]
        image = frame.reformat(width, height, "rgb24", interpolation=Interpolation.AREA).to_ndarray()
    return np.ascontiguousarray(np.rot90(image, turns), dtype=np.uint8)


def open_frames(path: Path | str) -> ImageFrames | VideoFrames:
    """Open a folder of images or a video file as one clip.

    Args:
        path: The folder or the file.

    Returns:
        Its frames.

    Raises:
        FileNotFoundError: If nothing is there, or the folder holds no image.
        ValueError: If it is a file but no readable video.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"Nothing at {path}: expected a video file or a folder of images.")
    return ImageFrames(path) if path.is_dir() else VideoFrames(path)


def readable(source: Source) -> Source:
    """Make sure that a clip's size can be read.

    Args:
        source: The frames.

    Returns:
        The same.

    Raises:
        ValueError: If its first frame cannot be read.
    """
    source.original_size()
    return source


def video_rate(path: Path | str) -> float:
    """Mean frame rate of a video.

    Args:
        path: The video file.

    Returns:
        Frames per second; 25 where the file does not say.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no readable video.
    """
    with _open_video(Path(path)) as file:
        stream = file.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else 25.0
