"""Plates show the scene behind a moving thing, however the camera moves, and say what no frame shows."""

from collections.abc import Iterator

import cv2
import numpy as np

from datamodules.plates import agreement, appearance, evidence, moving
from datamodules.plates.camera_motion import camera_motion, rescaled
from datamodules.plates.evidence import EvidenceKind
from datamodules.plates.plate import Plate, median_plate
from datamodules.plates.temporal import TemporalPlates
from datamodules.readers import Broken, FrameSource, Keep, Pixels, resize

SIZE = (96, 128)


def scene(seed: int = 0) -> Pixels:
    """A textured picture, larger than a frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    return cv2.GaussianBlur(cv2.resize(coarse, (480, 320), interpolation=cv2.INTER_CUBIC), (0, 0), 1.5)


def camera(t: float) -> np.ndarray:
    """Scene to frame at time t: a turn, a zoom and a walk to the right."""
    turn, zoom = 0.004 * t, 1 + 0.002 * t
    c, s = zoom * np.cos(turn), zoom * np.sin(turn)
    return np.array([[c, -s, -120 - 2.5 * t], [s, c, -90 + 0.5 * t], [0, 0, 1.0]])


def view(t: float) -> Pixels:
    return cv2.warpPerspective(scene(), camera(t), (SIZE[1], SIZE[0]))


class Walk:
    """A red square walks to the right in front of a scene that a moving camera sees."""

    def __init__(self, count: int, missing: int | None = None, speed: float = 2, pan: float = 1) -> None:
        self.count, self.missing, self.speed, self.pan = count, missing, speed, pan

    def __len__(self) -> int:
        return self.count

    def clean(self, t: int) -> Pixels:
        return view(self.pan * t)

    def frame(self, t: int) -> Pixels:
        image = view(self.pan * t)
        x = 8 + round(self.speed * t)
        image[30:60, x : x + 20] = (230, 20, 20)
        return image

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        for t in range(self.count):
            if keep is not None and not keep(t, 10 * t):
                continue
            if t == self.missing:
                assert broken is not None
                broken(10 * t, "broken")
            else:
                yield 10 * t, self.frame(t) if size is None else resize(self.frame(t), size)

    def identity(self) -> Iterator[str]:
        yield "walk"

    def original_size(self) -> tuple[int, int]:
        return SIZE


def made(
    source: FrameSource, producer: TemporalPlates, keep: Keep | None = None, broken: Broken | None = None
) -> dict[int, Plate]:
    """What a producer makes of the frames, by frame number."""
    planes = producer.make(source, SIZE, keep, broken)
    return {n: Plate(p["plate"], p["covered"] > 127, p["evidence"] / np.float32(255)) for n, p in planes}


def corner_error(found: np.ndarray, true: np.ndarray) -> float:
    """Largest distance in pixels between where two motions put the corners of what both frames show."""
    corners = np.array([[[25, 5]], [[125, 5]], [[125, 85]], [[25, 85]]], dtype=np.float64)
    return float(np.abs(cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, true)).max())


def test_the_motion_of_the_camera_is_found_to_a_fraction_of_a_pixel() -> None:
    grey = [cv2.cvtColor(Walk(9).frame(t), cv2.COLOR_RGB2GRAY) for t in (0, 8)]
    true = camera(8) @ np.linalg.inv(camera(0))
    found = camera_motion(*grey)
    assert found is not None and corner_error(found, true) < 0.75
    guessed = camera_motion(*grey, guess=true)
    assert guessed is not None and corner_error(guessed, true) < 0.5


def test_a_frame_without_a_corner_has_no_motion() -> None:
    grey = np.full(SIZE, 90, np.uint8)
    assert camera_motion(grey, grey) is None


def test_a_motion_between_large_frames_is_rescaled_to_small_ones() -> None:
    image = view(0)
    shift = np.array([[1, 0, 8.0], [0, 1, -4.0], [0, 0, 1]])
    small = resize(image, (48, 64))
    moved = resize(cv2.warpPerspective(image, shift, (128, 96)), (48, 64))
    again = cv2.warpPerspective(small, rescaled(shift, 0.5), (64, 48))
    assert np.abs(moved.astype(int) - again)[:40, 8:].max() <= 1


def test_the_plate_shows_the_scene_behind_the_square() -> None:
    walk = Walk(41)
    plates = made(walk, TemporalPlates(reach=16, step=4))
    assert list(plates) == [10 * t for t in range(41)]
    for t in (0, 20, 40):
        plate, covered, _ = plates[10 * t]
        error = np.abs(plate.astype(int) - walk.clean(t)).mean(axis=2)
        square = np.zeros(SIZE, dtype=bool)
        square[30:60, 8 + 2 * t : 28 + 2 * t] = True
        assert np.abs(walk.frame(t).astype(int) - walk.clean(t)).mean(axis=2)[square].mean() > 50
        assert error[square & covered].mean() < 8
        assert error[covered].mean() < 5
        assert covered.mean() > 0.8


def test_rounds_take_the_ghost_of_a_slow_square_out_of_the_plate() -> None:
    walk = Walk(61, speed=0.9, pan=0)  # its 20 pixels hide a place for half of what is in reach, or longer

    def ghost(rounds: int) -> float:
        producer = TemporalPlates(reach=20, step=4, rounds=rounds, registration_scale=1)
        (plate,) = made(walk, producer, lambda position, _: position == 30).values()
        error = np.abs(plate.pixels.astype(int) - walk.clean(30)).mean(axis=2)
        return float(error[32:58, 35:55].mean())

    assert ghost(0) > 20
    assert ghost(2) < 0.5 * ghost(0)


def test_what_no_neighbour_shows_is_not_covered() -> None:
    plates = made(Walk(9), TemporalPlates(reach=8, step=8))
    plate, covered, _ = plates[80]  # its only neighbour is the first frame, 20 pixels to the left
    assert not covered[:, 118:].any() and covered[20:80, 20:90].all()
    assert (plate[~covered] == 0).all()


def test_a_single_frame_has_an_empty_plate() -> None:
    plate, covered, found = made(Walk(1), TemporalPlates())[0]
    assert not covered.any() and not plate.any() and not found.any()


def test_plates_are_made_of_the_kept_frames_and_a_broken_one_is_nobodys_neighbour() -> None:
    told: list[int] = []
    walk, every_fifth = Walk(20, missing=7), lambda _, frame_number: frame_number % 50 == 0
    found = made(walk, TemporalPlates(reach=4, step=2), every_fifth, lambda frame_number, _: told.append(frame_number))
    assert list(found) == [0, 50, 100, 150] and told == [70]


def test_a_broken_frame_shifts_nothing() -> None:
    walk = Walk(20, missing=3)
    kept = [number for number, _ in walk.frames(None, lambda position, _: position % 2 == 0, lambda *_: None)]
    found = made(walk, TemporalPlates(reach=4, step=2), lambda position, _: position % 2 == 0, lambda *_: None)
    assert list(found) == kept == [20 * t for t in range(10)]


def test_memory_holds_the_windows_only() -> None:
    walk = Walk(90)
    read: list[int] = []
    frame = walk.frame
    walk.frame = lambda t: read.append(t) or frame(t)  # type: ignore[method-assign, func-returns-value]
    producer = TemporalPlates(reach=5, step=5, rounds=2, registration_scale=1, evidence_kind="one_subject")
    ahead = [max(read) - frame_number // 10 for frame_number, _ in producer.make(walk, SIZE)]
    # a window for the registration, one for each round and one for the plates; all but the first end in agreement
    assert max(ahead) <= 4 * 5 + 3 * 16


def test_the_settings_are_part_of_the_identity() -> None:
    settings = ({}, {"reach": 9}, {"step": 9}, {"rounds": 9}, {"registration_scale": 9.0}, {"evidence_kind": "agreed"})
    identities = {tuple(TemporalPlates(**changed).identity(Walk(2))) for changed in settings}  # type: ignore[arg-type]
    assert len(identities) == 6
    for part in (evidence.SETTINGS, agreement.SETTINGS, moving.SETTINGS, appearance.SETTINGS):
        assert part in TemporalPlates().identity(Walk(2))


def test_the_median_ignores_what_is_not_seen() -> None:
    images = np.stack([np.full((2, 2, 3), v, np.uint8) for v in (10, 20, 200)])
    seen = np.ones((3, 2, 2), dtype=bool)
    seen[2, 0] = False
    seen[:, 1, 1] = False
    plate, covered = median_plate(images, seen)
    assert plate[0, 0].tolist() == [15] * 3 and plate[1, 0].tolist() == [20] * 3
    assert covered.tolist() == [[True, True], [True, False]]


def test_the_evidence_is_where_the_square_is() -> None:
    walk = Walk(41)
    plates = made(walk, TemporalPlates(reach=16, step=4))
    for t in (0, 20, 40):
        found = plates[10 * t].evidence > 0.5
        square = np.zeros(SIZE, dtype=bool)
        square[30:60, 8 + 2 * t : 28 + 2 * t] = True
        assert (found & square).sum() / (found | square).sum() > 0.75


def test_of_two_squares_the_larger_is_the_one_subject() -> None:
    class Two(Walk):
        def frame(self, t: int) -> Pixels:
            image = super().frame(t)
            image[70:82, 110 - 2 * t : 122 - 2 * t] = (20, 20, 230)
            return image

    def found(kind: EvidenceKind) -> np.ndarray:
        return made(Two(41), TemporalPlates(reach=16, step=4, evidence_kind=kind))[200].evidence > 0.5

    both, one, measured = found("agreed"), found("one_subject"), found("measured")
    assert both[32:58, 50:66].mean() > 0.9 and both[72:80, 72:80].mean() > 0.9
    assert one[32:58, 50:66].mean() > 0.9 and not one[66:].any()
    assert not np.array_equal(measured, both) and measured[72:80, 72:80].mean() > 0.5
