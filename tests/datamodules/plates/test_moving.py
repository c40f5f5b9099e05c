"""The region that stands out most from a plate: one blob, no rails, no flicker."""

import cv2
import numpy as np

from datamodules.plates.evidence import plate_evidence
from datamodules.plates.moving import moving_blob
from datamodules.readers import Pixels

SIZE = (90, 160)
EVERYWHERE = np.ones(SIZE, dtype=bool)


def plate() -> Pixels:
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 160, (18, 32, 3), dtype=np.uint8)
    return cv2.resize(coarse, (160, 90), interpolation=cv2.INTER_CUBIC)


def noisy(image: Pixels) -> Pixels:
    noise = np.random.default_rng(1).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_the_larger_of_two_blobs_is_found_and_a_rail_is_not() -> None:
    frame = plate()
    frame[30:60, 40:60] = 250  # the subject
    frame[10:18, 100:108] = 250  # a mistake of the plate
    frame[70, :] = 250  # a rail
    found = moving_blob(plate_evidence(noisy(frame), plate(), EVERYWHERE)) == 1
    assert found[30:60, 40:60].all()
    assert not found[:20, 90:].any() and not found[68:73, 80:].any()
    assert not found[:, :34].any() and not found[:24].any() and not found[66:].any()


def test_what_lies_at_the_border_counts_less_and_is_found_where_it_is_alone() -> None:
    found = np.zeros(SIZE, np.float32)
    found[40:, :50] = 0.9  # a bush that passes by
    alone = moving_blob(found)
    found[20:45, 80:100] = 0.9  # the subject
    assert alone[45:85, 5:45].all()
    both = moving_blob(found)
    assert both[22:43, 82:98].all() and not both[:, :60].any()


def test_a_subject_that_the_frame_cuts_outweighs_a_speck_inside() -> None:
    found = np.zeros(SIZE, np.float32)
    found[:, 50:95] = 0.9  # from top to bottom
    found[40:48, 120:128] = 0.9
    region = moving_blob(found)
    assert region[5:85, 55:90].all() and not region[:, 115:].any()


def test_a_plate_that_is_off_by_a_pixel_is_forgiven() -> None:
    shifted = np.roll(plate(), 1, axis=1)
    frame = plate()
    frame[30:60, 40:60] = 250
    found = moving_blob(plate_evidence(noisy(frame), shifted, EVERYWHERE)) == 1
    assert found[30:60, 40:60].all() and found.mean() < 0.1


def test_where_nothing_stands_out_or_nothing_is_covered_there_is_no_blob() -> None:
    frame = plate()
    assert not moving_blob(plate_evidence(noisy(frame), plate(), EVERYWHERE)).any()
    frame[30:60, 40:60] = 250
    covered = EVERYWHERE.copy()
    covered[20:70, 30:70] = False
    assert not moving_blob(plate_evidence(noisy(frame), plate(), covered)).any()
    assert not moving_blob(plate_evidence(noisy(frame), plate(), ~EVERYWHERE)).any()
