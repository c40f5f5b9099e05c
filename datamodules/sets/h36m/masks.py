"""Human3.6M's mask files: MATLAB 7.3, one 0/1 image per video frame, stored transposed behind object references."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from backdrop.errors import one_line
from datamodules.clips.clip import Box

if TYPE_CHECKING:
    import h5py

_SAME_ACTION = {"takingphoto": "photo", "walkingdog": "walkdog"}
Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, on pixel edges."""
Piece = tuple[bytes, int, int]
"""Packed bytes of a part of an image, and how many of its rows and columns are within the image."""
T = TypeVar("T")
_TOLERANCE = 25  # frames, half a second: lengths of video and annotation differ by a few


class MaskFile:
    """One ``.mat`` file.

    Args:
        path: The file.

    Raises:
        ValueError: If it cannot be read or has no ``Masks``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as file:
            self.frames = int(file["Masks"].size)

    def mask(self, position: int) -> NDArray[np.bool_]:
        """Mask of the video frame at a position from 0, bool (H, W).

        Args:
            position: Position in the video.

        Raises:
            ValueError: If it cannot be read.
        """
        return np.ascontiguousarray(next(self._read([position], np.asarray)).T != 0)

    def boxes(self, positions: Sequence[int], size: tuple[int, int]) -> dict[int, Box | None]:
        """Tight boxes of the ones of some masks, read in one go.

        Args:
            positions: Positions in the video from 0.
            size: (height, width) of the frames, which may have been scaled after the masks were made.

        Returns:
            Position -> box in pixels of a frame of ``size``; None for an empty mask.

        Raises:
            ValueError: If a mask cannot be read.
        """
        unpacked: dict[Piece, Rectangle | None] = {}

        def box(stored: h5py.Dataset) -> Box | None:
            rectangle = _tight(stored, unpacked)
            if rectangle is None:
                return None
            top, left, bottom, right = rectangle  # of the transposed image
            across, down = size[1] / stored.shape[0], size[0] / stored.shape[1]
            return left * across, top * down, right * across, bottom * down

        return dict(zip(positions, self._read(positions, box), strict=True))

    def _read(self, positions: Sequence[int], read: Callable[[h5py.Dataset], T]) -> Iterator[T]:
        """Read masks as they are stored, (W, H), as MATLAB puts columns first; the file is opened once for all."""
        with self._open() as file:
            for position in positions:
                try:
                    cells = file["Masks"]
                    found = read(file[cells[np.unravel_index(position, cells.shape)]])
                except Exception as error:  # what h5py raises depends on what the file holds
                    raise ValueError(
                        f"Cannot read mask {position + 1} of {self.path} ({one_line(error)}): fetch the file again."
                    ) from error
                yield found

    def _open(self) -> h5py.File:
        import h5py  # here, so that other data sets can be read without it

        try:
            file = h5py.File(self.path)
            there = "Masks" in file and isinstance(file["Masks"], h5py.Dataset)
        except Exception as error:  # what h5py raises depends on what the file holds
            raise ValueError(f"Cannot read {self.path} ({one_line(error)}): fetch the file again.") from error
        if not there:
            file.close()
            raise ValueError(f"{self.path} has no Masks: is it one of ground_truth_bb or ground_truth_bs?")
        return file


def _tight(stored: h5py.Dataset, unpacked: dict[Piece, Rectangle | None]) -> Rectangle | None:
    """Tight rectangle of the ones of a stored image; None for an empty one.

    Nearly all of the time would go into unpacking: of the pieces that an image is stored in, most are all zeros or all
    ones, and so the same bytes in image after image. Each of those is unpacked once.

    Args:
        stored: The image, 8 bits a pixel.
        unpacked: The rectangles of the ones of pieces that were unpacked before; new ones are added.

    Returns:
        The rectangle, x along the second axis.
    """
    if not _is_in_plain_pieces(stored):
        return _rectangle(np.asarray(stored))
    found = []
    (rows, columns), (height, width) = stored.chunks, stored.shape
    for y, x in product(range(0, height, rows), range(0, width, columns)):
        skipped, packed = stored.id.read_direct_chunk((y, x))
        if skipped:  # it is not packed
            return _rectangle(np.asarray(stored))
        key = packed, min(rows, height - y), min(columns, width - x)  # the last pieces reach over the image's edge
        if key not in unpacked:
            try:
                piece = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(rows, columns)
            except (ValueError, zlib.error) as error:
                raise OSError(f"broken piece: {error}") from error
            unpacked[key] = _rectangle(piece[: key[1], : key[2]])
        if (inside := unpacked[key]) is not None:
            found.append((x + inside[0], y + inside[1], x + inside[2], y + inside[3]))
    if not found:
        return None
    left, top, right, bottom = zip(*found, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _is_in_plain_pieces(stored: h5py.Dataset) -> bool:
    """Whether an image is kept as pieces (HDF5: chunks) that are all there, packed by zlib alone."""
    if stored.compression != "gzip" or stored.shuffle or stored.fletcher32 or stored.dtype.itemsize != 1:
        return False
    pieces = [-(-extent // step) for extent, step in zip(stored.shape, stored.chunks, strict=True)]
    return bool(stored.ndim == 2 and stored.id.get_num_chunks() == pieces[0] * pieces[1])


def _rectangle(image: NDArray[np.generic]) -> Rectangle | None:
    """Tight rectangle of what is not zero in an image; None where all is."""
    x, y, width, height = cv2.boundingRect(np.asarray(image, dtype=np.uint8))
    return (x, y, x + width, y + height) if width else None


def find_mask_file(folder: Path, action: str, camera: str, numbers: Sequence[int]) -> MaskFile | None:
    """Find the mask file of a take.

    Tools number the two takes of an action by other rules than the mask files ("Phoning-2" may be "Phoning"), so the
    files of that action and camera are told apart by their length, which must agree with the video; the name decides
    between equals.

    Args:
        folder: ``ground_truth_bb`` or ``ground_truth_bs``.
        action: Name of the take's folder, such as "Phoning-1".
        camera: Number of the camera.
        numbers: Numbers of the take's frames, from 1, ascending; a video that was sub-sampled to every n-th frame may
            be up to n - 1 frames longer than the last.

    Returns:
        The file; None where none fits.

    Raises:
        ValueError: If a candidate cannot be read.
    """
    last, step = numbers[-1], numbers[-1] - numbers[-2] if len(numbers) > 1 else 1

    def misfit(file: MaskFile) -> int:
        return max(last - file.frames, file.frames - last - step + 1, 0)

    found = [MaskFile(path) for path in _of_action(sorted(folder.glob("*.mat")), action, camera)]
    name = _plain(action)
    fitting = [file for file in found if misfit(file) <= _TOLERANCE]
    return min(fitting, key=lambda file: (misfit(file), _plain(_take(file.path)) != name), default=None)


def _of_action(paths: Iterable[Path], action: str, camera: str) -> list[Path]:
    """Mask files of one action, both takes, by one camera."""
    ending, wanted = f".{camera}.mat", _action(action)
    return [path for path in paths if path.name.endswith(ending) and _action(_take(path)) == wanted]


def _take(path: Path) -> str:
    return path.name.split(".")[0]


def _plain(take: str) -> str:
    """A take's name without signs: "Phoning 1" and "Phoning-1" both give "phoning1"."""
    return re.sub(r"[^a-z0-9]", "", take.lower())


def _action(take: str) -> str:
    """The action of a take, without the number."""
    action = re.sub(r"[0-9]+$", "", _plain(take))
    return _SAME_ACTION.get(action, action)
