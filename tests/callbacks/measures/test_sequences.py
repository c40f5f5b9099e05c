"""The figures of a sequence, against the text of Perazzi et al. 2016 (CVPR, Sec. 4) in exact arithmetic."""

import numpy as np
import pytest

from callbacks.measures.sequences import statistics


def test_the_first_and_the_last_frame_are_left_out() -> None:
    assert statistics([0.0, 0.6, 0.8, 1.0]) == pytest.approx((0.7, 1.0, -0.2))  # two frames: each is a quarter's end
    assert statistics([0.0, 0.25, 1.0]) == (0.25, 0.0, 0.0)
    with pytest.raises(ValueError, match="three with a mask"):
        statistics([1.0, 1.0])


def test_a_frame_is_recalled_above_a_half() -> None:
    assert statistics([0, 0.5, 0.5001, 0.2, 0.9, 0]).recall == 0.5


@pytest.mark.parametrize(
    ("frames", "first", "last"),
    [(9, slice(0, 3), slice(6, 9)), (10, slice(0, 3), slice(7, 10)), (20, slice(0, 6), slice(14, 20))],
)
def test_decay_is_that_of_quarters_that_share_the_frame_at_which_they_meet(
    frames: int, first: slice, last: slice
) -> None:
    """Ends of quarters by hand, halves up: of 9 frames 0, 2, 4, 6, 8; of 10 0, 2, 5, 7, 9; of 20 0, 5, 10, 14, 19."""
    inner = np.random.default_rng(0).random(frames)
    expected = inner[first].mean() - inner[last].mean()
    assert statistics([0, *inner, 0]).decay == pytest.approx(expected, abs=1e-12)
