"""The plates of a clip whose camera moves: a plate of every frame, from the frames around it (beyond the paper)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from backdrop.stops import may_stop
from datamodules.clips.clip import Clip
from datamodules.clips.planes import Plane
from datamodules.plates import agreement, appearance, evidence, moving
from datamodules.plates.agreement import agreed
from datamodules.plates.appearance import by_colour
from datamodules.plates.camera_motion import Homography, camera_motion, rescaled
from datamodules.plates.evidence import Evidence, EvidenceKind, plate_evidence
from datamodules.plates.moving import moving_blob
from datamodules.plates.parallax import enlarged, parallax
from datamodules.plates.plate import COVERED, EVIDENCE, PLATE, Plate, coverage_bytes, evidence_bytes, median_plate
from datamodules.plates.windows import windows
from datamodules.readers import Broken, FrameSource, Keep, Pixels, resize


@dataclass(frozen=True)
class _Read:
    """A frame as it was read."""

    position: int
    frame_number: int
    image: Pixels  # at the working size
    grey: Pixels  # at the size of registration
    to_first: Homography  # camera motion to the clip's first frame, at the size of registration


@dataclass(frozen=True)
class _Neighbour:
    """Where the scene of a frame lies in one of its neighbours."""

    offset: int  # of the neighbour, in frames that could be read
    motion: Homography  # from the frame to the neighbour, at the working size
    parallax: NDArray[np.float32]  # what that leaves, a coarse grid of displacements at the working size

    def places(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """For each pixel (x, y) of the frame where to look in the neighbour, (h, w, 2)."""
        y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
        moved = np.stack([x, y], axis=2) + enlarged(self.parallax, size)
        return np.asarray(cv2.perspectiveTransform(moved, self.motion), dtype=np.float32)


@dataclass(frozen=True)
class _Registered:
    """A frame and where its scene is found again."""

    position: int
    frame_number: int
    image: Pixels
    neighbours: tuple[_Neighbour, ...]
    moving: NDArray[np.uint8]  # 255 where the subject seems to be, (h, w); all 0 before the first round


_Plated = tuple[_Registered, Plate]


@dataclass(frozen=True)
class TemporalPlates:
    """Makes a plate of every frame of a clip, and finds what its subject is by it.

    Neighbours at ``step``, ``2 * step``, … up to ``reach`` frames before and after are registered to the frame by the
    camera's motion and the smooth parallax that it leaves, and the median of each pixel is taken: what moves is in
    another place in most of them. Where it is not, because a subject is large or slow, its ghost stays in the plate; so
    the plates are made again, ``rounds`` times, of what in the neighbours does not stand out from their own plates.
    Pixels that are alike agree on the evidence, in every round and at the end. Only the frames within reach and those
    that wait for agreement, both once for every round, are in memory.

    Attributes:
        reach: Farthest neighbour, in frames.
        step: Distance between neighbours, in frames.
        registration_scale: Size at which the camera's motion is found, over the working size.
        rounds: How often the plates are made again.
        evidence_kind: ``measured`` is each frame's own evidence, ``agreed`` what pixels agree on. ``one_subject`` keeps
            of that the connected region that stands out most in each frame: where the scene was registered badly, for
            it is near the camera or moves, what stands out is left out. ``appearance`` does so after the colours of
            these regions have had a say.
    """

    planes: ClassVar[tuple[Plane, ...]] = (PLATE, COVERED, EVIDENCE)
    task: ClassVar[str] = "Making background plates (once)"
    at_once: ClassVar[int] = 2
    reach: int = 40
    step: int = 5
    registration_scale: float = 2.0
    rounds: int = 2
    evidence_kind: EvidenceKind = "appearance"

    def kept(self, clip: Clip) -> Clip:
        """A plate for every frame that the clip keeps."""
        return replace(clip, name=f"{clip.name} plates")

    def make(
        self, source: FrameSource, size: tuple[int, int], keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Mapping[str, Pixels]]]:
        """Yield (original frame number, planes of its plate) in order.

        Args:
            source: The clip's frames.
            size: Output (height, width) in pixels.
            keep: Of which frames, by position and original number; None yields all.
            broken: Called with every frame that is broken; it is nobody's neighbour.

        Raises:
            ValueError: As the source does.
            OSError: As the source does.
        """
        frames = self._registered(self._read(source, size, broken))
        for _ in range(self.rounds):
            frames = self._round(frames)
        for (frame, plate), found in self._subject(self._agreed(self._found(frames))):
            if keep is None or keep(frame.position, frame.frame_number):
                greys = {COVERED.name: coverage_bytes(plate.covered), EVIDENCE.name: evidence_bytes(found)}
                yield frame.frame_number, {PLATE.name: plate.pixels, **greys}

    def identity(self, source: FrameSource) -> Iterator[str]:
        """That of the frames, and the settings."""
        yield from source.identity()
        yield f"temporal plates in {self.rounds} rounds {self.reach} {self.step} {self.registration_scale}"
        yield from (self.evidence_kind, evidence.SETTINGS, agreement.SETTINGS, moving.SETTINGS, appearance.SETTINGS)

    def _read(self, source: FrameSource, size: tuple[int, int], broken: Broken | None) -> Iterator[_Read]:
        """The frames, and the camera's motion since the first."""
        large = (round(size[0] * self.registration_scale), round(size[1] * self.registration_scale))
        positions: dict[int, int] = {}  # of frames that are not read yet; a broken frame has one too
        before: _Read | None = None

        def note(position: int, frame_number: int) -> bool:
            may_stop()
            positions[frame_number] = position
            return True

        for frame_number, image in source.frames(large, note, broken):
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            to_first = np.eye(3)
            if before is not None:
                step = camera_motion(grey, before.grey)
                to_first = before.to_first @ (np.eye(3) if step is None else step)
            to_first /= to_first[2, 2]
            before = _Read(positions.pop(frame_number), frame_number, resize(image, size), grey, to_first)
            yield before

    def _registered(self, frames: Iterator[_Read]) -> Iterator[_Registered]:
        """The frames with what is known of their neighbours, registered pair by pair."""
        for window, at in windows(frames, self.reach):
            frame = window[at]
            others = [other for other in range(at % self.step, len(window), self.step) if other != at]
            neighbours = tuple(self._neighbour(frame, window[other], other - at) for other in others)
            nothing = np.zeros(frame.image.shape[:2], np.uint8)
            yield _Registered(frame.position, frame.frame_number, frame.image, neighbours, nothing)

    def _neighbour(self, frame: _Read, other: _Read, offset: int) -> _Neighbour:
        may_stop()
        guess = np.linalg.inv(frame.to_first) @ other.to_first
        guess /= guess[2, 2]
        found = camera_motion(other.grey, frame.grey, guess)
        motion = guess if found is None else found
        inside = _warped(np.full(frame.grey.shape, 255, np.uint8), motion) == 255
        left = parallax(frame.grey, _warped(other.grey, motion), inside) / np.float32(self.registration_scale)
        to_neighbour: Homography = np.asarray(np.linalg.inv(rescaled(motion, 1 / self.registration_scale)), np.float64)
        return _Neighbour(offset, to_neighbour, left)

    def _round(self, frames: Iterator[_Registered]) -> Iterator[_Registered]:
        """The frames with what stands out from their plates."""
        for (frame, _), found in self._agreed(self._found(frames)):
            yield replace(frame, moving=moving_blob(found) * np.uint8(255))

    def _agreed(self, frames: Iterator[_Plated]) -> Iterator[tuple[_Plated, Evidence]]:
        """The frames with their plates, and the evidence."""
        if self.evidence_kind == "measured":
            return (((frame, plate), plate.evidence) for frame, plate in frames)
        return agreed(((frame, plate), frame.image, plate.evidence, plate.covered) for frame, plate in frames)

    def _subject(self, frames: Iterator[tuple[_Plated, Evidence]]) -> Iterator[tuple[_Plated, Evidence]]:
        """The frames with their plates, and of the evidence what is the subject's."""
        if self.evidence_kind in ("measured", "agreed"):
            return frames
        if self.evidence_kind == "appearance":
            given = ((item, item[0].image, found, found * moving_blob(found)) for item, found in frames)
            frames = by_colour(given)
        return ((item, found * moving_blob(found)) for item, found in frames)

    def _found(self, frames: Iterator[_Registered]) -> Iterator[_Plated]:
        """The frames with their plates."""
        for window, at in windows(frames, self.reach):
            frame, (pixels, covered) = window[at], self._plate(window, at)
            yield frame, Plate(pixels, covered, plate_evidence(frame.image, pixels, covered))

    @staticmethod
    def _plate(window: list[_Registered], at: int) -> tuple[Pixels, NDArray[np.bool_]]:
        """Median of what of a frame's neighbours does not move, or else of all they show; and where they show any."""
        may_stop()
        frame = window[at]
        height, width = frame.image.shape[:2]
        if not frame.neighbours:
            return np.zeros_like(frame.image), np.zeros((height, width), dtype=bool)
        images, seen, hidden = [], [], []
        whole = np.full((height, width), 255, np.uint8)
        for neighbour in frame.neighbours:
            other, places = window[at + neighbour.offset], neighbour.places((height, width))
            images.append(cv2.remap(other.image, places, None, cv2.INTER_LINEAR))
            seen.append(cv2.remap(whole, places, None, cv2.INTER_LINEAR) == 255)
            hidden.append(cv2.remap(other.moving, places, None, cv2.INTER_LINEAR) > 0)
        shown = np.stack(seen)
        still = shown & ~np.stack(hidden)
        still |= shown & ~still.any(axis=0)
        return median_plate(np.stack(images), still)


def _warped(image: Pixels, motion: Homography) -> Pixels:
    warped = cv2.warpPerspective(image, motion, (image.shape[1], image.shape[0]), flags=cv2.INTER_LINEAR)
    return np.asarray(warped, dtype=np.uint8)
