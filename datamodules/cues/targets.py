"""Training targets of a clip without labels: motion, colours, one cut; in constant memory (beyond the paper)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.clips.clip import Clip
from datamodules.clips.planes import Plane as StoredPlane
from datamodules.cues import camera, colour, cut, flow, motion
from datamodules.cues.colour import REACH, Coloured, colour_log_odds
from datamodules.cues.cut import Cuttable
from datamodules.cues.flow import OFFSETS, Flow, WorkingSize, flows_around
from datamodules.cues.motion import LEVEL, Motion, Plane, motion_log_odds
from datamodules.plates.windows import windows
from datamodules.readers import Broken, FrameSource, Keep, Pixels

T = TypeVar("T")

MOTION, TARGET, TRUST = StoredPlane("motion"), StoredPlane("target"), StoredPlane("trust")
"""255 times the probability of the subject by motion alone; by all cues; and how far to trust the latter."""

_LEAST_TRUST = 0.05
_WINDOW, _OVERLAP = 32, 8  # frames that are cut as one graph, and how many of them the next graph has too


class Target(NamedTuple):
    """What a clip tells of one of its frames.

    Attributes:
        position: Of the frame in the clip, from 0.
        frame_number: Its original number.
        motion: Log-odds of the subject by motion alone, (h, w) of the grid.
        mask: Where the subject is, bool, (h, w).
        trust: How far to trust the mask, in [0.05, 1]: its overlap with what moves (intersection over union).
        steps: What each step on the way would call the subject, bool, (h, w), by name, in their order; the last one is
            the mask.
    """

    position: int
    frame_number: int
    motion: Plane
    mask: NDArray[np.bool_]
    trust: float
    steps: Mapping[str, NDArray[np.bool_]]


class _Read(NamedTuple):
    position: int
    frame_number: int
    grey: Pixels  # working frame
    lab: Pixels  # grid


class _Moving(NamedTuple):
    frame: _Read
    motion: Motion
    log_odds: Plane
    to_next: Flow | None  # in cells of the grid


@dataclass(frozen=True)
class Targets:
    """Makes targets of a clip from motion, colours and a cut through space and time, frame by frame.

    Flow leads to the frames up to six before and after; the colours are those of 24 frames before and after; the cut
    joins 32 frames, and neighbouring cuts share 8, of which each keeps the half on its side. So some 90 frames at half
    the working size are in memory, however long the clip is.

    Attributes:
        height: Of the working frame in pixels; what is found has half of it.
        colour: Factor of the colours' log-odds.
    """

    planes: ClassVar[tuple[StoredPlane, ...]] = (MOTION, TARGET, TRUST)
    task: ClassVar[str] = "Making training targets (once)"
    height: int = 240
    colour: float = 1.2

    def kept(self, clip: Clip) -> Clip:
        """A target for every frame that the clip keeps."""
        return replace(clip, name=f"{clip.name} targets")

    def make(
        self, source: FrameSource, size: tuple[int, int], keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Mapping[str, Pixels]]]:
        """Yield (original frame number, planes of its target) in order.

        Args:
            source: The clip's frames.
            size: Output (height, width) in pixels.
            keep: Of which frames, by position and original number; None yields all.
            broken: Called with every frame that is broken; the frames around it become neighbours.

        Raises:
            ValueError: As the source does.
            OSError: As the source does.
        """
        for found in self.targets(source, broken):
            if keep is None or keep(found.position, found.frame_number):
                moves, trust = 1 / (1 + np.exp(-found.motion)), np.full(size, round(255 * found.trust), np.uint8)
                target = _bytes(found.mask.astype(np.float32), size)
                yield found.frame_number, {MOTION.name: _bytes(moves, size), TARGET.name: target, TRUST.name: trust}

    def identity(self, source: FrameSource) -> Iterator[str]:
        """That of the frames, and the settings."""
        yield from source.identity()
        yield f"targets {self.height} {self.colour} {_LEAST_TRUST} {_WINDOW} {_OVERLAP}"
        yield from (flow.SETTINGS, camera.SETTINGS, motion.SETTINGS, colour.SETTINGS, cut.SETTINGS)

    def targets(self, source: FrameSource, broken: Broken | None = None) -> Iterator[Target]:
        """Yield the target of every frame that can be read, in order.

        A frame without any other beside it tells nothing: its mask is empty, with the least trust.

        Args:
            source: The clip's frames.
            broken: As for :meth:`make`.

        Raises:
            ValueError: As the source does.
            OSError: As the source does.
        """
        size = WorkingSize.of(source.original_size(), self.height)
        moving = _moving(_read(source, size, broken), size)
        coloured = colour_log_odds(((frame, Coloured(frame.frame.lab, frame.log_odds)) for frame in moving), REACH)
        joined = ((frame, self._cuttable(frame, odds)) for frame, odds in coloured)
        for (found, frame), mask in cut_in_windows(((item, frame), frame) for item, frame in joined):
            moves = found.motion.strength > LEVEL
            trust = max(_LEAST_TRUST, overlap(mask, moves)) if mask.any() else _LEAST_TRUST
            steps = {"motion": moves, "colours": frame.log_odds > 0, "cut": mask}
            yield Target(found.frame.position, found.frame.frame_number, found.log_odds, mask, trust, steps)

    def _cuttable(self, frame: _Moving, colour_odds: Plane) -> Cuttable:
        return Cuttable(frame.frame.lab, frame.log_odds + np.float32(self.colour) * colour_odds, frame.to_next)


def cut_in_windows(
    frames: Iterable[tuple[T, Cuttable]], window: int = _WINDOW, shared: int = _OVERLAP
) -> Iterator[tuple[T, NDArray[np.bool_]]]:
    """Cut a clip of any length.

    Args:
        frames: In order: anything, and the frame.
        window: How many frames are cut as one graph.
        shared: How many of them the next graph has too, even; the first half keeps the labels of the first graph.

    Yields:
        What was given, and where the subject is, bool, (h, w). A clip of up to ``window`` frames is cut as a whole.
    """
    held: list[tuple[T, Cuttable]] = []
    ready = 0  # how many of those held were yielded
    for item in frames:
        if len(held) == window:
            yield from _cut(held, ready, window - shared // 2)
            held, ready = held[window - shared :], shared // 2
        held.append(item)
    if held:
        yield from _cut(held, ready, len(held))


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks.

    Args:
        one: (h, w).
        other: (h, w).

    Returns:
        In [0, 1]; 1 where both are empty.
    """
    union = int((one | other).sum())
    return float((one & other).sum() / union) if union else 1.0


def _read(source: FrameSource, size: WorkingSize, broken: Broken | None) -> Iterator[_Read]:
    positions: dict[int, int] = {}  # of frames that are not read yet

    def note(position: int, frame_number: int) -> bool:
        positions[frame_number] = position
        return True

    for frame_number, image in source.frames(size.frame, note, broken):
        small = cv2.resize(image, size.grid[::-1], interpolation=cv2.INTER_AREA)
        grey, lab = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
        yield _Read(positions.pop(frame_number), frame_number, grey, lab)


def _moving(frames: Iterable[_Read], size: WorkingSize) -> Iterator[_Moving]:
    """The frames with what moves in them."""
    to_cells = np.float32(size.grid[0] / size.frame[0])
    for window, at in windows(frames, max(OFFSETS)):
        flows = flows_around([frame.grey for frame in window], at, size.grid)
        found = motion.motion(flows) if flows else Motion(np.zeros(size.grid, np.float32), 1.0)
        to_next = flows[1] * to_cells if 1 in flows else None
        yield _Moving(window[at], found, motion_log_odds(found.strength), to_next)


def _cut(held: list[tuple[T, Cuttable]], first: int, end: int) -> Iterator[tuple[T, NDArray[np.bool_]]]:
    masks = cut.cut([frame for _, frame in held])
    yield from ((held[at][0], masks[at]) for at in range(first, end))


def _bytes(share: NDArray[np.floating], size: tuple[int, int]) -> Pixels:
    """Numbers in [0, 1] as bytes at another size."""
    shrinks = size[0] < share.shape[0]
    scaled = cv2.resize(share, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray((scaled * 255).round(), dtype=np.uint8)
