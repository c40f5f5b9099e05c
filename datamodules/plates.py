"""Background plates: what a frame would show without its subject, from other frames of the clip (beyond the paper)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.camera_motion import Homography, camera_motion, rescaled
from datamodules.clips import Clip
from datamodules.parallax import parallax, shifted
from datamodules.readers import Broken, FrameSource, Keep, Pixels, resize

PlateKind = Literal["static", "temporal"]


@dataclass(frozen=True)
class _Frame:
    """One frame in the window around the one whose plate is made."""

    position: int
    number: int
    image: Pixels  # at the working size
    grey: Pixels  # at the size of registration
    to_first: Homography  # camera motion to the clip's first frame, at the size of registration


def plate_clip(clip: Clip, kind: PlateKind) -> Clip:
    """The clip whose frames are the plates of a clip.

    Args:
        clip: The clip.
        kind: ``static``: one plate for all of it; ``temporal``: one for each frame that it keeps.

    Returns:
        A clip for the frame store, at twice the working height.
    """
    if kind == "static":
        return Clip(f"{clip.name} plate", StaticPlate(clip.source))
    return replace(clip, name=f"{clip.name} plates", source=TemporalPlates(clip.source))


def stacked(plate: Pixels, covered: NDArray[np.bool_]) -> Pixels:
    """A plate and its coverage as one picture, which survives any codec for pictures.

    Args:
        plate: RGB, uint8, (h, w, 3).
        covered: Where it is known, bool, (h, w).

    Returns:
        uint8, (2h, w, 3): the plate above, 255 where it is covered below.
    """
    return np.concatenate([plate, np.repeat(covered[..., None] * np.uint8(255), 3, axis=2)])


def unstacked(picture: Pixels) -> tuple[Pixels, NDArray[np.bool_]]:
    """Undo :func:`stacked`.

    Args:
        picture: uint8, (2h, w, 3).

    Returns:
        The plate, uint8, (h, w, 3), and its coverage, bool, (h, w).
    """
    height = len(picture) // 2
    return picture[:height], picture[height:, :, 0] > 127


def median_plate(images: NDArray[np.uint8], seen: NDArray[np.bool_]) -> tuple[Pixels, NDArray[np.bool_]]:
    """Per-pixel median of registered frames.

    Args:
        images: (N, h, w, 3).
        seen: Where each of them shows something, (N, h, w).

    Returns:
        The plate, uint8, (h, w, 3), 0 where no frame shows anything; and where any does, bool, (h, w).
    """
    covered = np.asarray(seen.any(axis=0), dtype=bool)
    known = np.where(seen[..., None], images, np.float32(np.nan))  # (N, h, w, 3)
    known[:, ~covered] = 0
    return np.nanmedian(known, axis=0).round().astype(np.uint8), covered


@dataclass(frozen=True)
class StaticPlate:
    """The one plate of a clip whose camera stands still, as a source of one picture (:func:`stacked`).

    The per-pixel median of frames spread evenly over the clip (the known background of Sec. 3.1).

    Attributes:
        source: The clip's frames.
        most: Of how many frames the median is taken at most.
    """

    source: FrameSource
    most: int = 101

    def __len__(self) -> int:
        """One."""
        return 1

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (0, plate over its coverage, uint8 (2h, w, 3)).

        Args:
            size: (2h, w) in pixels; None takes the frames' own size for (h, w).
            keep: Asked before every frame, as it may raise to end this; whatever it answers, there is one picture.
            broken: Told of every frame that is broken among those that the median is taken of.

        Raises:
            ValueError: As the source does.
            OSError: As the source does.
        """
        every = max(1, -(-len(self.source) // self.most))
        half = None if size is None else (size[0] // 2, size[1])

        def chosen_one(position: int, number: int) -> bool:
            if keep is not None:
                keep(position, number)
            return position % every == 0

        chosen = self.source.frames(half, chosen_one, broken)
        images = np.stack([image for _, image in chosen])
        yield 0, stacked(*median_plate(images, np.ones(images.shape[:3], dtype=bool)))

    def identity(self) -> Iterator[str]:
        """That of the frames, and the settings."""
        yield from self.source.identity()
        yield f"static plate {self.most}"

    def original_size(self) -> tuple[int, int]:
        """(2h, w) of the picture in pixels."""
        height, width = self.source.original_size()
        return 2 * height, width


@dataclass(frozen=True)
class TemporalPlates:
    """The plates of a clip, frame by frame, as a source of pictures (:func:`stacked`).

    Neighbours at ``step``, ``2 * step``, … up to ``reach`` frames before and after are registered to the frame by the
    camera's motion and the smooth parallax that it leaves, and the median of each pixel is taken: what moves is in
    another place in most of them. Only the frames within reach are in memory.

    Attributes:
        source: The clip's frames.
        reach: Farthest neighbour, in frames.
        step: Distance between neighbours, in frames.
        registration_scale: Size at which the camera's motion is found, over the working size.
    """

    source: FrameSource
    reach: int = 40
    step: int = 5
    registration_scale: float = 2.0

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.source)

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (original frame number, plate over its coverage, uint8 (2h, w, 3)) in order.

        Args:
            size: (2h, w) in pixels; None takes the frames' own size for (h, w).
            keep: Of which frames, by position and original number; None yields all.
            broken: Told of every frame that is broken; it is nobody's neighbour.

        Raises:
            ValueError: As the source does.
            OSError: As the source does.
        """
        if size is None:
            height, width = self.source.original_size()
        else:
            height, width = size[0] // 2, size[1]
        large = (round(height * self.registration_scale), round(width * self.registration_scale))
        window: deque[_Frame] = deque(maxlen=2 * self.reach + 1)
        positions: dict[int, int] = {}  # of frames that are not read yet, by number; a broken frame has one too
        arrived = made = 0

        def note(position: int, number: int) -> bool:
            positions[number] = position
            return True

        def plates(until: int) -> Iterator[tuple[int, Pixels]]:
            nonlocal made
            while made < until:
                at = made - (arrived - len(window))
                frame = window[at]
                if keep is None or keep(frame.position, frame.number):
                    yield frame.number, self._plate(list(window), at)
                made += 1

        for number, image in self.source.frames(large, note, broken):
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            to_first = np.eye(3)
            if window:
                step = camera_motion(grey, window[-1].grey)
                to_first = window[-1].to_first @ (np.eye(3) if step is None else step)
            to_first /= to_first[2, 2]
            small = resize(image, (height, width))
            window.append(_Frame(positions.pop(number), number, small, grey, to_first))
            arrived += 1
            yield from plates(arrived - self.reach)
        yield from plates(arrived)

    def identity(self) -> Iterator[str]:
        """That of the frames, and the settings."""
        yield from self.source.identity()
        yield f"temporal plates with parallax {self.reach} {self.step} {self.registration_scale}"

    def original_size(self) -> tuple[int, int]:
        """(2h, w) of the first picture in pixels."""
        height, width = self.source.original_size()
        return 2 * height, width

    def _plate(self, window: list[_Frame], at: int) -> Pixels:
        frame = window[at]
        height, width = frame.image.shape[:2]
        images, seen = [], []
        for other in range(at % self.step, len(window), self.step):
            distance = abs(other - at)
            if not 0 < distance <= self.reach:
                continue
            neighbour = window[other]
            guess = np.linalg.inv(frame.to_first) @ neighbour.to_first
            guess /= guess[2, 2]
            motion = camera_motion(neighbour.grey, frame.grey, guess)
            motion = guess if motion is None else motion
            left = cv2.resize(self._parallax(neighbour.grey, frame.grey, motion), (width, height))
            left = left / np.float32(self.registration_scale)
            motion = rescaled(motion, 1 / self.registration_scale)
            images.append(shifted(_warped(neighbour.image, motion), left))
            seen.append(shifted(_warped(np.full((height, width), 255, np.uint8), motion), left) == 255)
        if not images:
            return stacked(np.zeros_like(frame.image), np.zeros((height, width), dtype=bool))
        return stacked(*median_plate(np.stack(images), np.stack(seen)))

    @staticmethod
    def _parallax(neighbour: Pixels, frame: Pixels, motion: Homography) -> NDArray[np.float32]:
        """What registration by a homography leaves, (H, W, 2), at the size of registration."""
        inside = _warped(np.full(frame.shape, 255, np.uint8), motion) == 255
        return parallax(frame, _warped(neighbour, motion), inside)


def _warped(image: Pixels, motion: Homography) -> Pixels:
    warped = cv2.warpPerspective(image, motion, (image.shape[1], image.shape[0]), flags=cv2.INTER_LINEAR)
    return np.asarray(warped, dtype=np.uint8)
