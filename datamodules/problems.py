"""What could not be read: kept as a list, written as a table, told in one sentence."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A frame or a whole clip that is left out.

    Attributes:
        clip: Name of the clip.
        frame: Original number of the frame; None where the whole clip is left out.
        reason: One sentence: what, and where.
    """

    clip: str
    frame: int | None
    reason: str


def summary(problems: Sequence[Problem]) -> str:
    """Count the problems.

    Args:
        problems: The list.

    Returns:
        "3 frames skipped in 2 clips, 1 clip skipped"; empty where there is no problem.
    """
    frames = [problem for problem in problems if problem.frame is not None]
    clips = len({problem.clip for problem in problems if problem.frame is None})
    parts = []
    if frames:
        parts.append(f"{_count(len(frames), 'frame')} skipped in {_count(len({p.clip for p in frames}), 'clip')}")
    if clips:
        parts.append(f"{_count(clips, 'clip')} skipped")
    return ", ".join(parts)


def table(problems: Sequence[Problem]) -> str:
    """The problems as comma-separated values.

    Args:
        problems: The list.

    Returns:
        A header and one line each: clip, frame (empty for a whole clip), reason.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("clip", "frame", "reason"))
    writer.writerows((p.clip, "" if p.frame is None else p.frame, p.reason) for p in problems)
    return text.getvalue()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
