"""VideoPCA: what the principal components of a clip's frames do not reconstruct, refined by colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.readers import Pixels, resize
from experiments.baselines.method import THRESHOLD, Baseline, Frames, Prediction, from_mask, require, smoothed

_BINS = (16, 16, 16)  # of hue, saturation and value
_CENTRE = 1 / 3  # standard deviation of the centred Gaussian, over the frame's smaller side
_BLUR = 0.04  # that of the blur of the error, over the frame's height
_COLOUR_BLUR = 0.01  # that of the blur of what the colours say


class VideoPca(Baseline):
    """Stretcu and Leordeanu 2015, "Multiple Frames Matching for Object Discovery in Video", the segmentation part.

    The frames of a clip are reconstructed from their first principal components. Where the error, blurred and weighed
    by a centred Gaussian, is above half of its frame's maximum, the subject is supposed. The colours (HSV) inside and
    outside these regions, over the whole clip, give the probability that a pixel of some colour is the subject's; it is
    weighed by the same Gaussian.

    The fixed threshold 0.5 is half of the maximum of each frame, as in the first step. Departures: components and
    colours are learnt from frames spread evenly over the clip, and the components at a small size, since the error is
    blurred anyway.

    Args:
        components: Number of principal components.
        most: Of how many frames the components and colours are learnt at most.
        height: Height in pixels at which frames are reconstructed.
    """

    def __init__(self, components: int = 3, most: int = 100, height: int = 90) -> None:
        require(1, components=components, most=most, height=height)
        self.components = components
        self.most = most
        self.height = height

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        probability = self._colours(frames)
        centre = _centred_gaussian(frames[0].shape[:2])
        for position in wanted:
            colour = probability[_codes(frames[position])]  # (H, W)
            yield from_mask(_to_maximum(smoothed(colour, _COLOUR_BLUR) * centre))

    def _colours(self, frames: Frames) -> NDArray[np.float32]:
        """Probability that a pixel of each colour is the subject's, both classes weighed alike, (colours,)."""
        chosen = range(0, len(frames), max(1, -(-len(frames) // self.most)))
        full = frames[0].shape[:2]
        small = (min(self.height, full[0]), max(1, round(full[1] * min(self.height, full[0]) / full[0])))
        data = np.stack([resize(frames[position], small).ravel() for position in chosen]).astype(np.float32)
        mean, components = cv2.PCACompute(data, None, maxComponents=self.components)
        rebuilt = cv2.PCABackProject(cv2.PCAProject(data, mean, components), mean, components)
        errors = np.linalg.norm((data - rebuilt).reshape(len(data), *small, 3), axis=3)  # (N, h, w)
        centre = _centred_gaussian(small)
        counts = np.zeros((2, np.prod(_BINS)), dtype=np.float64)
        for position, error in zip(chosen, errors, strict=True):
            where = _to_maximum(smoothed(error, _BLUR) * centre)
            inside = cv2.resize(where, full[::-1], interpolation=cv2.INTER_LINEAR) >= THRESHOLD
            codes = _codes(frames[position])
            for side, members in enumerate((~inside, inside)):
                counts[side] += np.bincount(codes[members], minlength=counts.shape[1])
        outside, subject = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        total = outside + subject
        return np.asarray(np.divide(subject, total, out=np.zeros_like(total), where=total > 0), dtype=np.float32)


def _codes(image: Pixels) -> NDArray[np.int64]:
    """Number of each pixel's colour, (H, W)."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL).astype(np.int64)
    hue, saturation, value = (hsv[..., part] * bins // 256 for part, bins in enumerate(_BINS))
    return np.asarray((hue * _BINS[1] + saturation) * _BINS[2] + value)


def _centred_gaussian(size: tuple[int, int]) -> NDArray[np.float32]:
    """1 in the middle of the frame, (H, W)."""
    y, x = (np.arange(side) + 0.5 - side / 2 for side in size)
    squares = y[:, None] ** 2 + x[None, :] ** 2
    return np.asarray(np.exp(-squares / (2 * (_CENTRE * min(size)) ** 2)), dtype=np.float32)


def _to_maximum(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale to a maximum of 1; a frame without anything stays 0."""
    return values / max(float(values.max()), 1e-6)
