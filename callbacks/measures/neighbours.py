"""Whether features know frames again: what the nearest neighbours of frames are, beside chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def neighbour_scores(features: Tensor, clips: Sequence[str], numbers: Sequence[int]) -> dict[str, float]:
    """Probe features by the nearest other frame of each frame, by the cosine.

    Args:
        features: (N, D).
        clips: Clip of each frame.
        numbers: Number of each frame in its clip.

    Returns:
        ``same_clip``: the share of frames whose nearest frame is of the same clip, and ``same_clip_chance``: of any
        other frame, where there are several clips. ``time_gap``: how far away in time the nearest frame of the same
        clip is, over the distance of any of them: 1 is chance. Nothing where it is not defined.
    """
    close = functional.normalize(features.float(), dim=1)
    close = close @ close.T
    close.fill_diagonal_(-torch.inf)
    names, times = np.asarray(clips), np.asarray(numbers, dtype=np.float64)
    same = names[:, None] == names[None, :]
    others = same & ~np.eye(len(names), dtype=bool)
    found: dict[str, float] = {}
    if len(set(clips)) > 1 and others.any():
        nearest = close.argmax(dim=1).cpu().numpy()
        found["same_clip"] = float(same[np.arange(len(names)), nearest].mean())
        found["same_clip_chance"] = float(others.sum() / (len(names) * (len(names) - 1)))
    several = others.sum(axis=1) > 1
    if several.any():
        within = np.where(others, close.cpu().numpy(), -np.inf).argmax(axis=1)
        away = np.abs(times - times[within])[several]
        distances = np.where(others, np.abs(times[:, None] - times[None, :]), 0).sum(axis=1)[several]
        found["time_gap"] = float(away.mean() / (distances / others.sum(axis=1)[several]).mean())
    return found
