"""Training targets of a clip without labels, made of all cues, in constant memory (beyond the paper)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import compress
from math import inf
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from backdrop.ranges import at_least
from backdrop.stops import may_stop
from datamodules.clips.clip import Clip
from datamodules.clips.parts import Part, frame_numbers
from datamodules.clips.planes import Plane as StoredPlane
from datamodules.cues import camera, colour, cut, discriminant, features, flow, fusion, motion, patches
from datamodules.cues import confirmed as confirming
from datamodules.cues.camera import camera_flow
from datamodules.cues.colour import REACH
from datamodules.cues.confirmed import confirmed
from datamodules.cues.features import AUTO, Describer, chosen
from datamodules.cues.flow import OFFSETS, WorkingSize, flows_around
from datamodules.cues.fusion import Fusion, Seen
from datamodules.cues.motion import Plane, in_own_units, motion_log_odds, speed
from datamodules.plates.windows import chunks, windows
from datamodules.readers import Broken, FrameSource, Keep, Pixels

MOTION, TARGET, TRUST = StoredPlane("motion"), StoredPlane("target"), StoredPlane("trust")
"""255 times the probability of the subject by motion alone; by all cues; and how far to trust the latter."""

_LEAST_TRUST = 0.05
_AROUND = REACH + max(OFFSETS)  # frames before and after a kept one that colours and flow look at
_PIECE, _SHARED = 128, 32  # frames that are looked at as one, and how many of them the next piece has too


class Target(NamedTuple):
    """What a clip tells of one of its frames.

    Attributes:
        position: Of the frame in the clip, from 0.
        frame_number: Its original number.
        motion: Log-odds of the subject by motion alone, (h, w) of the grid.
        mask: Where the subject is, bool, (h, w).
        trust: How far to trust the mask, in [0.05, 1]: how far the cues agree, see
            :class:`datamodules.cues.fusion.Fused`.
        steps: See :class:`datamodules.cues.fusion.Fused`.
    """

    position: int
    frame_number: int
    motion: Plane
    mask: NDArray[np.bool_]
    trust: float
    steps: Mapping[str, NDArray[np.bool_]]


class Read(NamedTuple):
    """A frame as it was read: its place, original number, and pictures at the working size and on the grid."""

    position: int
    frame_number: int
    image: Pixels  # working frame
    grey: Pixels  # likewise
    lab: Pixels  # grid


class Moving(NamedTuple):
    """A frame with what moves in it."""

    frame: Read
    seen: Seen


@dataclass(frozen=True)
class Targets:
    """Makes targets of a clip from motion, colours, features and a cut through space and time.

    Flow leads to the frames up to six before and after. Up to 128 frames are then looked at as one; of a longer clip,
    pieces of 128 frames share 32, of which each keeps the half on its side. So the memory does not grow with the clip.

    Attributes:
        height: Of the working frame in pixels; what is found has half of it.
        features: Network that gives the features, see :func:`datamodules.cues.features.chosen`.
        colour: Factor of the colours' log-odds.
        rounds: How often the features are learnt.
        prior: See :class:`datamodules.cues.fusion.Fusion`, as for the next.
        doubt: How fast motion loses its weight.
    """

    planes: ClassVar[tuple[StoredPlane, ...]] = (MOTION, TARGET, TRUST)
    task: ClassVar[str] = "Making training targets (once)"
    at_once: ClassVar[int] = 1  # a piece of a clip takes a GB
    height: int = 240
    features: str = AUTO
    colour: float = Fusion.colour
    rounds: int = Fusion.rounds
    prior: float = Fusion.prior
    doubt: float = Fusion.doubt

    def __post_init__(self) -> None:
        """Check the ranges."""
        at_least(32, self, height=self.height)
        chosen(self.features), self.fusion

    def kept(self, clip: Clip) -> Clip:
        """A target for every frame that the clip keeps."""
        return replace(clip, name=f"{clip.name} targets")

    def make(
        self, source: FrameSource, size: tuple[int, int], keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Mapping[str, Pixels]]]:
        """Yield (original frame number, planes of its target) in order; see :meth:`Producer.make`."""
        for found in self.targets(source, broken, keep):
            moves, trust = 1 / (1 + np.exp(-found.motion)), np.full(size, round(255 * found.trust), np.uint8)
            target = _bytes(found.mask.astype(np.float32), size)
            yield found.frame_number, {MOTION.name: _bytes(moves, size), TARGET.name: target, TRUST.name: trust}

    def identity(self, source: FrameSource) -> Iterator[str]:
        """That of the frames, and the settings."""
        yield from source.identity()
        describer = chosen(self.features)
        yield f"targets {self.height} {self.fusion} {describer} {_LEAST_TRUST} {_PIECE} {_SHARED}"
        yield from (flow.SETTINGS, camera.SETTINGS, motion.SETTINGS, confirming.SETTINGS, colour.SETTINGS)
        yield from (cut.SETTINGS, features.SETTINGS, patches.SETTINGS, discriminant.SETTINGS, fusion.SETTINGS)

    @property
    def fusion(self) -> Fusion:
        """How the cues are fused."""
        return Fusion(self.colour, self.rounds, self.prior, self.doubt)

    def targets(
        self, source: FrameSource, broken: Broken | None = None, keep: Keep | None = None
    ) -> Iterator[Target]:
        """Yield the target of every frame that can be read and is kept, in order.

        A frame without any other beside it tells nothing: its mask is empty, with the least trust.

        Args:
            source: The clip's frames.
            broken: Called with every frame that is broken; the frames around it become neighbours.
            keep: Which frames are kept, by position and original number; None keeps all.

        Raises:
            ValueError: As the source does.
            OSError: As the source does.
        """
        moving = self.moving(source, broken, near_kept(source, keep))
        return self.fused(moving, chosen(self.features), keep)

    def moving(
        self, source: FrameSource, broken: Broken | None = None, positions: tuple[int, float] = (0, inf)
    ) -> Iterator[Moving]:
        """Yield frames with what moves in them: the part of the work that depends on :attr:`height` alone.

        Args:
            source: The clip's frames.
            broken: As for :meth:`targets`.
            positions: The first and the last frame to look at.
        """
        size = WorkingSize.of(source.original_size(), self.height)
        return _moving(_read(source, size, broken, positions), size)

    def fused(
        self, moving: Iterable[Moving], describer: Describer | None, keep: Keep | None = None
    ) -> Iterator[Target]:
        """Yield the targets of frames.

        Args:
            moving: The frames in order, see :meth:`moving`.
            describer: Gives their features; None does without.
            keep: As for :meth:`targets`; pieces of the clip without any kept frame cost nothing more.
        """
        for frames, own in chunks(moving, _PIECE, _SHARED):
            kept = [keep is None or keep(frame.position, frame.frame_number) for frame, _ in frames[own]]
            if not any(kept):
                continue
            fused = self.fusion.fuse([frame.seen for frame in frames], describer)
            for (frame, seen), found in compress(zip(frames[own], fused[own], strict=True), kept):
                trust = max(_LEAST_TRUST, found.trust)
                yield Target(frame.position, frame.frame_number, seen.motion, found.mask, trust, found.steps)


def near_kept(source: FrameSource, keep: Keep | None) -> tuple[int, float]:
    """Positions of the first and of the last frame that targets of the frames to keep depend on.

    Args:
        source: The clip's frames.
        keep: Which frames are kept; None keeps all.

    Returns:
        The first kept frame and the last one, and as many frames around them as flow and colours look at.
    """
    if keep is None:
        return 0, inf
    listed = list(_listed(source))
    kept = [position for position, number in listed if keep(position, number)]
    if not kept or kept[-1] == listed[-1][0]:  # a video may hold more frames than it says
        return max(0, kept[0] - _AROUND) if kept else 0, inf
    return max(0, kept[0] - _AROUND), kept[-1] + _AROUND


def _listed(source: FrameSource) -> Iterator[tuple[int, int]]:
    """Position and original number of every frame, as far as they are known without reading."""
    if isinstance(source, Part):
        return ((position, number) for position, number in _listed(source.source) if source.holds(number))
    return iter(enumerate(frame_numbers(source)))


def _read(
    source: FrameSource, size: WorkingSize, broken: Broken | None, wanted: tuple[int, float]
) -> Iterator[Read]:
    positions: dict[int, int] = {}  # of frames that are not read yet

    def note(position: int, frame_number: int) -> bool:
        may_stop()
        positions[frame_number] = position
        return wanted[0] <= position <= wanted[1]

    for frame_number, image in source.frames(size.frame, note, broken):
        small = cv2.resize(image, size.grid[::-1], interpolation=cv2.INTER_AREA)
        grey, lab = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
        yield Read(positions.pop(frame_number), frame_number, image, grey, lab)


def _moving(frames: Iterable[Read], size: WorkingSize) -> Iterator[Moving]:
    """The frames with what moves in them."""
    to_cells = np.float32(size.grid[0] / size.frame[0])
    still = motion_log_odds(np.zeros(size.grid, np.float32))
    for window, at in windows(frames, max(OFFSETS)):
        flows = flows_around([frame.grey for frame in window], at, size.grid)
        moves, sure = still, still
        if flows:
            cameras = {offset: camera_flow(flow) for offset, flow in flows.items()}
            fast = speed(flows, cameras)
            share = confirmed([frame.lab for frame in window], at, flows, cameras, float(to_cells))
            moves, sure = (motion_log_odds(in_own_units(one)) for one in (fast, fast * share))
        to_next = flows[1] * to_cells if 1 in flows else None
        frame = window[at]
        yield Moving(frame, Seen(frame.image, frame.lab, moves, sure, to_next))


def _bytes(share: NDArray[np.floating], size: tuple[int, int]) -> Pixels:
    """Numbers in [0, 1] as bytes at another size."""
    shrinks = size[0] < share.shape[0]
    scaled = cv2.resize(share, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray((scaled * 255).round(), dtype=np.uint8)
