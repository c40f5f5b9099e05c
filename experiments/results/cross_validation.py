"""Leave-group-out cross-validation of a setting: chosen on some clips, measured on others."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Scores = Mapping[str, Mapping[str, float]]
"""Setting -> clip -> score."""


@dataclass(frozen=True)
class LeftOut:
    """What a setting is worth on clips that it was not chosen on.

    Attributes:
        best: The setting with the highest mean over all clips.
        tuned: That mean, which is too good, as the same clips chose it.
        chosen: The setting that the other clips choose for each group.
        means: Mean over the clips of each group, with the setting that the other clips have chosen.
        left_out: Mean over all clips, each scored with the setting that the clips of other groups have chosen.
    """

    best: str
    tuned: float
    chosen: tuple[str, ...]
    means: tuple[float, ...]
    left_out: float

    @property
    def spread(self) -> float:
        """Standard deviation of :attr:`means`."""
        return statistics.stdev(self.means)


def groups_of(clips: Sequence[str], count: int) -> list[list[str]]:
    """Deal clips into groups in turn, in the order of their names.

    Args:
        clips: Their names.
        count: How many groups, at least 2.

    Returns:
        The groups.

    Raises:
        ValueError: If there are fewer clips than groups, or fewer than two groups.
    """
    if not 2 <= count <= len(clips):
        raise ValueError(f"groups must be from 2 to the number of clips, {len(clips)}, not {count}.")
    return [sorted(clips)[start::count] for start in range(count)]


def leave_group_out(scores: Scores, count: int) -> LeftOut:
    """Choose the setting on all groups but one, and measure it on that one; in turn for each group.

    Args:
        scores: Of every setting on the same clips.
        count: How many groups.

    Returns:
        What came of it. Of settings that are equally good the first is chosen.

    Raises:
        ValueError: If there is no setting, they are not of the same clips, or ``count`` is out of range.
    """
    if not scores or len({frozenset(clips) for clips in scores.values()}) != 1:
        raise ValueError("cross-validation needs scores of at least one setting, all of the same clips.")
    clips = sorted(next(iter(scores.values())))
    best = _best(scores, clips)
    chosen, means, left_out = list[str](), list[float](), dict[str, float]()
    for group in groups_of(clips, count):
        setting = _best(scores, [clip for clip in clips if clip not in group])
        chosen.append(setting)
        means.append(_mean(scores[setting], group))
        left_out |= {clip: scores[setting][clip] for clip in group}
    return LeftOut(best, _mean(scores[best], clips), tuple(chosen), tuple(means), statistics.fmean(left_out.values()))


def _best(scores: Scores, clips: Sequence[str]) -> str:
    return max(scores, key=lambda setting: _mean(scores[setting], clips))


def _mean(scores: Mapping[str, float], clips: Sequence[str]) -> float:
    return statistics.fmean(scores[clip] for clip in clips)
