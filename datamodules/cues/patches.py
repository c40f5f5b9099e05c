"""Features of frames that need no weights: filters learnt on the clip itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from backdrop.stops import may_stop
from datamodules.cues.principal import Basis, learnt
from datamodules.readers import Pixels

Features = NDArray[np.float32]
"""(h, w, channels)."""

LIGHTNESS = 40.0
"""Unit of OpenCV's 8-bit CIE Lab, about a standard deviation."""
EVERY = 8
"""The principal components are those of every eighth frame."""

_SHORT, _LONG = 60, 240  # cells of the features: of the shorter side, and of the longer one at most
_SIDES, _FILTERS = (7, 5), (24, 64)  # of the two layers: pixels, and how many
_KEPT, _SMOOTH, _STRIDE = 64, 5, 3
_LEAST = 8  # cells

SETTINGS = f"patches {_SHORT} {_LONG} {_LEAST} {LIGHTNESS} {_SIDES} {_FILTERS} {_KEPT} {_SMOOTH} {EVERY} {_STRIDE}"
"""Part of the identity of what is stored."""


@dataclass(frozen=True)
class ClipFilters:
    """A bank of filters in two layers, each the principal components of patches of the clip (PCANet, Chan et al. 2015).

    Both signs of a filter's answer are kept apart, and averaged around each cell, so that they tell of texture.
    """

    def features(self, images: Sequence[Pixels]) -> list[Features]:
        """See :meth:`datamodules.cues.features.Backbone.features`."""
        frames, layers = [_lab(image) for image in images], []
        for side, count in zip(_SIDES, _FILTERS, strict=True):
            basis = learnt(torch.cat([_patches(frame, side) for frame in frames[::EVERY]]), count)
            frames = [_answers(frame, basis, side) for frame in frames]
            frames = [F.avg_pool2d(frame, 2) for frame in frames] if side == _SIDES[0] else frames
            layers.append([_pooled(frame) for frame in frames])
        reduced = [_reduced(layer) for layer in layers]
        return [np.concatenate(parts, axis=2) for parts in zip(*reduced, map(_colours, images), strict=True)]


def grid_size(image: Pixels) -> tuple[int, int]:
    """(height, width) of the features of an image (H, W, 3): 60 on its shorter side, at most 240 on the longer one."""
    height, width = image.shape[:2]
    scale = min(_SHORT / min(height, width), _LONG / max(height, width))
    return max(_LEAST, round(height * scale)), max(_LEAST, round(width * scale))


def _lab(image: Pixels) -> Tensor:
    """(1, 3, 2 * height, 2 * width) of the grid."""
    may_stop()
    height, width = grid_size(image)
    small = cv2.cvtColor(cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    return torch.from_numpy(small).permute(2, 0, 1)[None].float() / LIGHTNESS


def _colours(image: Pixels) -> Features:
    """(height, width, 3) of the grid."""
    return np.asarray(F.avg_pool2d(_lab(image), 2)[0].permute(1, 2, 0).numpy())


def _patches(frame: Tensor, side: int) -> Tensor:
    """Some patches of a frame, (N, channels * side * side)."""
    return F.unfold(frame, side, stride=_STRIDE)[0].T


def _answers(frame: Tensor, basis: Basis, side: int) -> Tensor:
    """Positive and negative parts of what the filters answer, (1, 2 * filters, h, w)."""
    may_stop()
    channels, pad = frame.shape[1], side // 2
    filters = basis.factors.T.reshape(-1, channels, side, side)
    padded = F.pad(frame, [pad] * 4, mode="reflect")
    found = F.conv2d(padded, filters, -(basis.mean @ basis.factors))
    return torch.cat([found.relu(), (-found).relu()], dim=1)


def _pooled(answers: Tensor) -> Tensor:
    """Averages around each cell of the grid, (channels, height, width), of unit length."""
    may_stop()
    padded = F.pad(answers, [_SMOOTH // 2] * 4, mode="reflect")
    smooth: Tensor = F.avg_pool2d(padded, _SMOOTH, stride=1)[0]
    return smooth.div(smooth.norm(dim=0, keepdim=True).clamp_min(1e-6))


def _reduced(maps: Sequence[Tensor]) -> list[Features]:
    """Principal components of the maps (channels, h, w) of all frames, (h, w, components) of each."""
    basis = learnt(torch.cat([one.flatten(1).T for one in maps[::EVERY]]), _KEPT)
    return [np.asarray(basis.reduced(one).permute(1, 2, 0).numpy()) for one in maps]
