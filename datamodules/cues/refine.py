"""A mask at the size of the frame, from a coarse one: the border alone is cut again."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.cues.colour import bin_log_odds, colour_bins, colour_mass
from datamodules.cues.cut import Cuttable, links_in_space, minimum_cut
from datamodules.readers import Pixels


class Band(NamedTuple):
    """Where the border of a mask may lie.

    Attributes:
        width: How far from the coarse border, to either side, in pixels of the coarse mask.
        around: How far the colours are learnt, in widths.
        colour: Factor of the colours' log-odds.
        shape: Log-odds of the coarse mask at the band's edges; they fall to 0 at its border.
    """

    width: float = 1.5
    around: float = 6.0
    colour: float = 1.0
    shape: float = 2.0


NARROW = Band()
"""One and a half pixels of the coarse mask to either side: wider bands lose what the coarse cut had right."""


def refine(image: Pixels, mask: NDArray[np.bool_], band: Band = NARROW) -> NDArray[np.bool_]:
    """Cut the border of a coarse mask again at the size of the frame.

    Only the pixels near the coarse border are free (a narrow band, Lombaert et al. 2005), so the cost grows with the
    length of the border. What they look like is learnt on both sides of it, as in GrabCut (Rother et al. 2004), but
    from near it only.

    Args:
        image: RGB, uint8, (H, W, 3).
        mask: Where the subject is, (h, w), coarser.
        band: Where the border may lie.

    Returns:
        bool, (H, W).
    """
    height, width = image.shape[:2]
    soft = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    coarse: NDArray[np.bool_] = np.asarray(soft > 0.5, dtype=bool)
    if coarse.all() or not coarse.any():
        return coarse
    reach = max(1.0, band.width * height / mask.shape[0])
    inside = cv2.distanceTransform(coarse.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~coarse).astype(np.uint8), cv2.DIST_L2, 5)
    signed = inside - outside  # 1 or more inside, -1 or less outside
    free = abs(signed) <= reach
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    bins = colour_bins(lab)
    near = (abs(signed) <= band.around * reach) & ~free
    subject, scene = near & coarse, near & ~coarse
    odds = (band.shape / reach * signed).astype(np.float32)
    if subject.any() and scene.any():
        mass = np.stack([colour_mass(bins[side]) for side in (subject, scene)])
        odds += np.float32(band.colour) * bin_log_odds(mass)[bins]
    return _cut_where_free(Cuttable(lab, odds, None), coarse, free)


def _cut_where_free(frame: Cuttable, coarse: NDArray[np.bool_], free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The cut of the free pixels; links to the others become log-odds."""
    tails, heads, costs = links_in_space(frame, 0, free)
    loose, labels = free.ravel(), coarse.ravel()
    odds = frame.log_odds.ravel().astype(np.float32).copy()
    for node, other in ((tails, heads), (heads, tails)):
        edge = loose[node] & ~loose[other]
        sign = np.where(labels[other[edge]], 1.0, -1.0)
        odds += np.bincount(node[edge], costs[edge] * sign, len(odds)).astype(np.float32)
    both = loose[tails] & loose[heads]
    number = np.cumsum(loose, dtype=np.int32) - 1
    found = labels.copy()
    found[loose] = minimum_cut(odds[loose], (number[tails[both]], number[heads[both]], costs[both]))
    return found.reshape(coarse.shape)
