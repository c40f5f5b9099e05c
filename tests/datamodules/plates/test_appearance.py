"""Evidence follows the colours of the subject."""

from collections.abc import Iterator

import numpy as np

from datamodules.plates.appearance import by_colour
from datamodules.plates.evidence import Evidence
from datamodules.readers import Pixels

SIZE = (40, 60)
SUBJECT = (slice(10, 30), slice(10, 20))
HIDDEN = (slice(10, 30), slice(18, 20))
BUSH = (slice(10, 30), slice(20, 30))


def clip(count: int, read: list[int] | None = None) -> Iterator[tuple[int, Pixels, Evidence, Evidence]]:
    """A red subject beside a bush among bushes; in every fourth frame the bush stands out and a sleeve does not."""
    for t in range(count):
        if read is not None:
            read.append(t)
        image = np.full((*SIZE, 3), (30, 120, 30), np.uint8)
        image[SUBJECT] = (200, 20, 20)
        found = np.zeros(SIZE, np.float32)
        found[SUBJECT] = 0.8
        if t % 4 == 0:
            found[BUSH], found[HIDDEN] = 0.6, 0.48
        yield t, image, found, found


def test_a_bush_has_the_colours_of_bushes_and_a_sleeve_those_of_the_subject() -> None:
    found = dict(by_colour(clip(12)))
    assert list(found) == list(range(12))
    for t in (0, 4, 8):
        assert found[t].dtype == np.float32 and found[t][BUSH].max() < 0.5 < found[t][HIDDEN].min()
        np.testing.assert_allclose(found[t][12:28, 11:17], 0.8, atol=0.05)


def test_without_a_subject_no_colour_is_better_than_another() -> None:
    frames = [(t, image, found, np.zeros_like(found)) for t, image, found, _ in clip(3)]
    for _, found in by_colour(frames):
        assert np.ptp(found[SUBJECT][:, :8]) == 0 and found[0, 0] < 0.02


def test_the_frames_within_reach_are_in_memory() -> None:
    read: list[int] = []
    assert max(read[-1] - t for t, _ in by_colour(clip(120, read))) == 40
