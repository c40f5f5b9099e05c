"""What is not as one would guess about the frames of a clip that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """Something that is said once of a clip.

    Attributes:
        kind: What it is about, in a word or two; of many clips the user is told of the first with each kind.
        what: One sentence about the clip without its end: what is so, what Backdrop does, what can be done.
        of_each: Whether it concerns every frame by itself, so that it is true of a prediction too.
    """

    kind: str
    what: str
    of_each: bool = True


def mixed_sizes(sizes: Sequence[tuple[str, tuple[int, int]]]) -> list[Remark]:
    """What there is to say of the images of a folder that have several sizes.

    Args:
        sizes: Name and upright (height, width) in pixels of every image, in order.

    Returns:
        One remark, or none.
    """
    names: dict[tuple[int, int], list[str]] = {}
    for name, size in sizes:
        names.setdefault(size, []).append(name)
    if len(names) < 2:
        return []
    commonest, *others = sorted(names, key=lambda size: -len(names[size]))
    rest = ", ".join(f"{len(names[size])} of {size[1]}x{size[0]}, such as {names[size][0]}" for size in others[:3])
    more = "" if len(others) < 4 else f", and {len(others) - 3} more sizes"
    what = f"its images have several sizes: {len(names[commonest])} of {commonest[1]}x{commonest[0]}, {rest}{more}"
    return [Remark("mixed sizes", f"{what}; each is scaled by itself: keep images of one recording in a folder", False)]
