"""The first and the last part of a clip, for training on the one and testing on the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from datamodules.clips import Clip
from datamodules.readers import Broken, FrameSource, Keep, Pixels

Annotation = TypeVar("Annotation")


@dataclass(frozen=True)
class Part:
    """The frames of a source with numbers in [first, end).

    Attributes:
        source: All frames.
        first: Original number of the first frame.
        end: Original number after that of the last one.
    """

    source: FrameSource
    first: int
    end: int

    def __len__(self) -> int:
        """Number of frames, as exact as the source's."""
        return sum(map(self.holds, frame_numbers(self.source)))

    def holds(self, number: int) -> bool:
        """Whether a frame with this original number is in the part."""
        return self.first <= number < self.end

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield (original frame number, RGB uint8 (H, W, 3)) in order; see :meth:`FrameSource.frames`."""

        def wanted(position: int, number: int) -> bool:
            return self.holds(number) and (keep is None or keep(position, number))

        return self.source.frames(size, wanted, broken)

    def identity(self) -> Iterator[str]:
        """That of the source, and which frames."""
        yield from self.source.identity()
        yield f"frames {self.first} to {self.end}"

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the upright first frame of the source in pixels."""
        return self.source.original_size()


def frame_numbers(source: FrameSource) -> Sequence[int]:
    """Original numbers of the frames: those that the source lists, else from 0."""
    numbers: Sequence[int] = getattr(source, "indices", range(len(source)))
    return numbers


def hold_out(clip: Clip, share: float) -> tuple[Clip, Clip]:
    """Cut a clip in two, its annotation with it.

    Args:
        clip: The clip.
        share: Share of its frames, at its end, that the second part holds; in (0, 1).

    Returns:
        The first part, to train on, and the last.

    Raises:
        ValueError: If one part would have no frame.
    """
    numbers = frame_numbers(clip.source) if clip.chosen is None else sorted(clip.chosen)
    kept = len(numbers) - round(share * len(numbers))
    if not 0 < kept < len(numbers):
        raise ValueError(
            f"Clip '{clip.name}' has {len(numbers)} frames, too few to hold out {share:.0%} of them: change held_out."
        )
    cut = numbers[kept]
    begin, end = min([*numbers, *clip.annotated]), max([*numbers, *clip.annotated]) + 1  # annotated frames are kept too
    first, last = Part(clip.source, begin, cut), Part(clip.source, cut, end)
    return _part(clip, first, f"first {1 - share:.0%}"), _part(clip, last, f"last {share:.0%}")


def _part(clip: Clip, part: Part, which: str) -> Clip:
    def within(annotation: Mapping[int, Annotation]) -> dict[int, Annotation]:
        return {number: value for number, value in annotation.items() if part.holds(number)}

    chosen = None if clip.chosen is None else frozenset(filter(part.holds, clip.chosen))
    masks, boxes = within(clip.masks), within(clip.boxes)
    return replace(clip, name=f"{clip.name} ({which})", source=part, masks=masks, boxes=boxes, chosen=chosen)
