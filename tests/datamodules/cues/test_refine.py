"""The border of a coarse mask, cut again at the size of the frame."""

import cv2
import numpy as np

from datamodules.cues.fusion import overlap
from datamodules.cues.refine import Band, refine
from tests.datamodules.cues.test_cues import texture


def test_a_wide_border_moves_to_the_edge_of_the_picture() -> None:
    image = texture(0, (120, 160), 90)
    truth = np.zeros((120, 160), bool)
    cv2.circle(canvas := truth.astype(np.uint8), (80, 60), 30, 1, -1)
    truth = canvas > 0
    image[truth] = image[truth] // 4 + np.uint8([150, 20, 20])
    shifted = np.roll(truth, 3, axis=1)
    coarse = cv2.resize(shifted.astype(np.float32), (80, 60), interpolation=cv2.INTER_AREA) > 0.5
    before = overlap(cv2.resize(coarse.astype(np.float32), (160, 120)) > 0.5, truth)
    after = overlap(refine(image, coarse, Band(width=3)), truth)
    assert before < 0.9 < 0.96 < after


def test_refining_nothing_gives_nothing() -> None:
    assert not refine(texture(0, (40, 60)), np.zeros((20, 30), bool)).any()


def test_a_picture_smaller_than_its_mask_keeps_the_mask() -> None:
    mask = np.zeros((135, 240), bool)
    mask[40:90, 60:150] = True
    found = refine(texture(0, (80, 142)), mask)
    assert found.shape == (80, 142) and overlap(cv2.resize(found.astype(np.float32), (240, 135)) > 0.5, mask) > 0.9
