"""The parts of a clip in time, for training on the first and testing on the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from datamodules.clips.clip import Clip
from datamodules.readers import Broken, FrameSource, ImageFrames, Keep, Pixels

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


def frame_size(source: FrameSource, frame_number: int) -> tuple[int, int]:
    """(height, width) of an upright frame in pixels: its own where a folder has images of several sizes.

    Args:
        source: The frames.
        frame_number: Original number of one that can be read.

    Returns:
        The size; that of the first frame where all have one.
    """
    if isinstance(source, Part):
        return frame_size(source.source, frame_number)
    return source.frame_size(frame_number) if isinstance(source, ImageFrames) else source.original_size()


def frame_numbers(source: FrameSource) -> Sequence[int]:
    """Original numbers of the frames: those that the source lists, else from 0."""
    numbers: Sequence[int] = getattr(source, "indices", range(len(source)))
    return numbers


def hold_out(clip: Clip, share: float, val_share: float = 0.0) -> tuple[Clip, Clip | None, Clip]:
    """Cut a clip in time, its annotation with it; no frame is in two of the parts.

    Args:
        clip: The clip.
        share: Share of its frames, at its end, that the last part holds; in (0, 1).
        val_share: Share of the frames before, at their end, that the part between holds: at least one, but never all;
            in [0, 1), 0 for no such part.

    Returns:
        The first part, to train on; what lies between, to validate on (its plates may look at the first part), or None;
        and the last part, to test on.

    Raises:
        ValueError: If the first or the last part would have no frame.
    """
    numbers = list(frame_numbers(clip.source))[:: clip.every_nth] if clip.chosen is None else sorted(clip.chosen)
    kept = len(numbers) - round(share * len(numbers))
    if not 0 < kept < len(numbers):
        raise ValueError(
            f"Clip '{clip.name}' has {len(numbers)} frames, too few to hold out {share:.0%} of them: change held_out."
        )
    validated = min(max(1, round(val_share * kept)), kept - 1) if val_share else 0
    middle, cut = numbers[kept - validated], numbers[kept]
    begin, end = min([*numbers, *clip.annotated]), max([*numbers, *clip.annotated]) + 1  # annotated frames are kept too
    trained = (1 - share) * (1 - val_share if validated else 1)
    first = _part(clip, Part(clip.source, begin, middle), f"first {trained:.0%}")
    last = _part(clip, Part(clip.source, cut, end), f"last {share:.0%}")
    if not validated:
        return first, None, last
    between = Part(clip.source, middle, cut)
    chosen = frozenset(filter(between.holds, numbers))
    before = Part(clip.source, begin, cut)
    second = replace(_part(clip, between, f"{trained:.0%} to {1 - share:.0%}"), source=before, chosen=chosen)
    return first, second, last


def _part(clip: Clip, part: Part, which: str) -> Clip:
    def within(annotation: Mapping[int, Annotation]) -> dict[int, Annotation]:
        return {number: value for number, value in annotation.items() if part.holds(number)}

    chosen = None if clip.chosen is None else frozenset(filter(part.holds, clip.chosen))
    masks, boxes = within(clip.masks), within(clip.boxes)
    named = replace(clip, name=f"{clip.name} ({which})", same_as=clip.same_as and f"{clip.same_as} ({which})")
    return replace(named, source=part, masks=masks, boxes=boxes, chosen=chosen)
