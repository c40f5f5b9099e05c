"""A frame without its subject: what the neighbours show there, and what is done where they show nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.plates.painted_out import painted_out
from datamodules.readers import Pixels
from tests.moving_square import SIZE, moving_square, texture


@pytest.mark.parametrize("pan", [0, 2])
def test_what_a_moving_subject_hides_is_taken_from_its_neighbours(pan: int) -> None:
    frames, masks = moving_square(24, pan)
    at = 12
    image = painted_out(at, len(frames), lambda position: (frames[position], masks[position]))
    assert image is not None
    height, width = SIZE
    scene = texture((height, width + pan * len(frames)), 0, 0, 230)[:, pan * at : pan * at + width]
    before, after = (np.abs(one[masks[at]].astype(int) - scene[masks[at]]).mean() for one in (frames[at], image))
    assert after < 6 and before > 50
    far = ~masks[at]
    far[28:64, 40:90] = False  # the margin around the square
    assert np.array_equal(image[far], frames[at][far])


def test_what_no_neighbour_shows_goes_on_from_around_it() -> None:
    frame = np.full((60, 80, 3), 90, np.uint8)
    mask = np.zeros((60, 80), dtype=bool)
    mask[20:40, 30:50] = True
    frame[mask] = 255
    image = painted_out(0, 20, lambda _: (frame, mask))  # it never moves
    assert image is not None and np.abs(image.astype(int) - 90).max() <= 4


def test_there_is_nothing_to_paint_out_of_a_frame_without_a_subject_or_with_nothing_else() -> None:
    def shown(mask: NDArray[np.bool_]) -> Pixels | None:
        return painted_out(0, 1, lambda _: (np.zeros((20, 30, 3), np.uint8), mask))

    assert shown(np.zeros((20, 30), dtype=bool)) is None
    assert shown(np.ones((20, 30), dtype=bool)) is None
