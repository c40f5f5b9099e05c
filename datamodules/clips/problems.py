"""What could not be read: kept as a list, written as a table, told in one sentence."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A frame or a whole clip that is left out, or of which something else is wrong.

    Attributes:
        clip: Name of the clip.
        frame: Original number of the frame; None where it concerns the whole clip.
        reason: One sentence: what, and where.
    """

    clip: str
    frame: int | None
    reason: str


def summary(problems: Sequence[Problem], noticed: int = 0) -> str:
    """Count the problems.

    Args:
        problems: Frames and clips that are left out.
        noticed: Number of other things that were noticed.

    Returns:
        "3 frames skipped in 2 clips, 1 clip skipped, 1 other problem"; empty where there is nothing.
    """
    frames = [problem for problem in problems if problem.frame is not None]
    clips = len({problem.clip for problem in problems if problem.frame is None})
    parts = []
    if frames:
        parts.append(f"{counted(len(frames), 'frame')} skipped in {counted(len({p.clip for p in frames}), 'clip')}")
    if clips:
        parts.append(f"{counted(clips, 'clip')} skipped")
    if noticed:
        parts.append(counted(noticed, "other problem"))
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


def read_table(text: str) -> list[Problem]:
    """The problems of a table; the inverse of :func:`table`.

    Args:
        text: The table; lines that are none of it, as somebody has edited it, are left out.

    Returns:
        The list.
    """
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if len(row) == 3]
    good = [row for row in rows if not row[1] or row[1].isdecimal()]
    return [Problem(clip, int(frame) if frame else None, reason) for clip, frame, reason in good]


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Args:
        number: How many.
        noun: What, in the singular; the plural is made with an s.

    Returns:
        "1 frame", "2 frames".
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def too_short(count: int, least: int) -> str:
    """Why a clip of so many frames is left out where so many are the least."""
    return f"Only {count} of at least {least} frames can be read: add frames, or lower min_frames."
