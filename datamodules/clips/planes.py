"""Named planes: what is kept of every frame of a clip, and who makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from datamodules.clips.clip import Clip
from datamodules.readers import Broken, FrameSource, Keep, Pixels


@dataclass(frozen=True)
class Plane:
    """One array of bytes for every frame: a picture, or a number for each of its pixels.

    Attributes:
        name: What it is called in the store and in a batch; there the plane ``frame`` is called ``image``.
        colour: Whether it is RGB, (h, w, 3), and its colours change as the frame's; else (h, w).
        exact: Whether it holds nothing but 0 and 255, which a lossy codec must not touch.
    """

    name: str
    colour: bool = False
    exact: bool = False

    def shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Shape of the array at a size (height, width) in pixels."""
        return (*size, 3) if self.colour else size


class Producer(Protocol):
    """Makes planes of the frames of a clip. The store keeps them as one entry; equal producers make equal planes.

    Attributes:
        planes: What it makes of every frame.
        task: What the progress bar says meanwhile.
        at_once: How many clips may be made at the same time, in threads.
    """

    planes: ClassVar[tuple[Plane, ...]]
    task: ClassVar[str]
    at_once: ClassVar[int]

    def kept(self, clip: Clip) -> Clip:
        """The clip as the store keeps it: its name there, and of which frames planes are made."""

    def make(
        self, source: FrameSource, size: tuple[int, int], keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Mapping[str, Pixels]]]:
        """Yield (original frame number, plane by name) in order; for the rest see :meth:`FrameSource.frames`."""

    def identity(self, source: FrameSource) -> Iterator[str]:
        """Everything that the planes depend on: the source's own, and the settings."""


@dataclass(frozen=True)
class Frames:
    """The frames themselves."""

    planes: ClassVar[tuple[Plane, ...]] = (Plane("frame", colour=True),)
    task: ClassVar[str] = "Storing frames (once)"
    at_once: ClassVar[int] = 2

    def kept(self, clip: Clip) -> Clip:
        """The clip as it is."""
        return clip

    def make(
        self, source: FrameSource, size: tuple[int, int], keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Mapping[str, Pixels]]]:
        """Yield (original frame number, its ``frame``) in order."""
        return ((frame_number, {"frame": image}) for frame_number, image in source.frames(size, keep, broken))

    def identity(self, source: FrameSource) -> Iterator[str]:
        """That of the source."""
        return source.identity()
