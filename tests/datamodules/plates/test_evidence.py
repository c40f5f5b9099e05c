"""Evidence: bounded errors in units of what is usual in the frame, and what pixels alike agree on."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from datamodules.plates.agreement import agreed
from datamodules.plates.evidence import Evidence, plate_evidence
from datamodules.readers import Pixels

SIZE = (48, 64)
SUBJECT = (slice(10, 30), slice(10, 30))
INSIDE = (slice(14, 26), slice(14, 26))
EVERYWHERE = np.ones(SIZE, dtype=bool)


def frames(noise: float, contrast: float = 80) -> tuple[Pixels, Pixels]:
    """A frame with noise and a subject, and the scene behind."""
    rng = np.random.default_rng(0)
    scene = np.repeat(np.repeat(rng.uniform(60, 120, (6, 8, 3)), 8, 0), 8, 1)
    image = scene + rng.normal(0, noise, scene.shape)
    image[SUBJECT] += contrast
    return np.clip(image, 0, 255).round().astype(np.uint8), scene.round().astype(np.uint8)


def test_the_subject_is_near_one_and_the_rest_near_what_its_scale_says() -> None:
    found = plate_evidence(*frames(10), EVERYWHERE)
    assert found.shape == SIZE and found.dtype == np.float32 and found.min() >= 0 and found.max() < 1
    assert found[INSIDE].min() > 0.75
    np.testing.assert_allclose(np.median(found[36:, 36:]), 1 / (1 + 4.5**2), rtol=0.3)


def test_noise_and_contrast_together_change_nothing() -> None:
    one, two = plate_evidence(*frames(8, 40), EVERYWHERE), plate_evidence(*frames(16, 80), EVERYWHERE)
    np.testing.assert_allclose(one[INSIDE].mean(), two[INSIDE].mean(), atol=0.05)


def test_what_is_not_covered_is_evidence_of_nothing_and_does_not_count() -> None:
    image, scene = frames(10)
    whole = plate_evidence(image, scene, EVERYWHERE)
    image[:, 40:] = 255
    covered = EVERYWHERE.copy()
    covered[:, 36:] = False
    found = plate_evidence(image, scene, covered)
    assert not found[:, 36:].any()
    np.testing.assert_allclose(found[:, :30], whole[:, :30], atol=0.05)
    assert not plate_evidence(image, scene, ~EVERYWHERE).any()


def test_holes_in_the_subject_are_filled() -> None:
    image, scene = frames(10)
    image[20, 10:30] = scene[20, 10:30]  # a row that looks like the scene
    assert plate_evidence(image, scene, EVERYWHERE)[20, 14:26].min() > 0.5


def test_a_plate_that_is_off_by_a_pixel_is_forgiven_and_a_perfect_one_is_evidence_of_nothing() -> None:
    _, scene = frames(0)
    assert not plate_evidence(scene, scene, EVERYWHERE).any()
    assert not plate_evidence(scene, np.roll(scene, 1, axis=1), EVERYWHERE)[:, 1:].any()


def clip(count: int) -> list[tuple[int, Pixels, Evidence, NDArray[np.bool_]]]:
    """Red squares on grey; of every other of them the evidence misses the right half."""
    made = []
    for t in range(count):
        image = np.full((*SIZE, 3), 128, np.uint8)
        image[SUBJECT] = (200, 20, 20)
        found = np.zeros(SIZE, np.float32)
        found[SUBJECT] = 0.9
        if t % 2:
            found[:, 20:] = 0
        made.append((t, image, found, EVERYWHERE))
    return made


def test_a_part_of_the_subject_that_is_missed_follows_the_rest_of_it() -> None:
    items = clip(40)
    found = dict(agreed(items))
    assert list(found) == list(range(40))
    for t, evidence_of_it in found.items():
        assert evidence_of_it.dtype == np.float32 and evidence_of_it[SUBJECT].min() > 0.3, t
        assert evidence_of_it[:8].max() == 0 and evidence_of_it[36:].max() == 0, t  # another colour


def test_what_is_far_in_place_or_in_time_has_no_say() -> None:
    red = np.full((*SIZE, 3), (200, 20, 20), np.uint8)
    left = np.zeros(SIZE, np.float32)
    left[:, :10] = 1
    nothing = np.zeros(SIZE, np.float32)
    found = dict(agreed((t, red, left if t < 30 else nothing, EVERYWHERE) for t in range(80)))
    assert found[0][:, 1].min() > 0.5 and not found[0][:, 32:].any()
    assert not found[60].any()


def test_what_no_plate_covers_takes_the_evidence_of_what_looks_like_it() -> None:
    ((_, image, found, _),) = clip(1)
    covered = EVERYWHERE.copy()
    covered[:, 20:] = False
    ((_, agreed_on),) = agreed([("frame", image, found * covered, covered)])
    np.testing.assert_allclose(agreed_on[12:28, 12:20], 0.9, rtol=1e-6)
    assert agreed_on[12:28, 21:24].mean() > 0.5 and not agreed_on[36:].any()


def test_few_frames_are_in_memory() -> None:
    read = 0

    def counted() -> Iterator[tuple[int, Pixels, Evidence, NDArray[np.bool_]]]:
        nonlocal read
        for item in clip(100):
            read += 1
            yield item

    assert max(read - number for number, _ in agreed(counted())) <= 16
