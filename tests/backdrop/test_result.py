"""Results: masks, polygons, COCO, pictures; a model takes what users call an image."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco
from numpy.typing import NDArray
from PIL import Image

from backdrop.found import Found, Pixels
from backdrop.model import Model, Reader
from backdrop.result import Result
from backdrop.shapes import Polygon, _holds, coco_runs, polygons


def filled(found: Sequence[Polygon], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask from its rings: a pixel is inside where a ray from its centre crosses them an odd number of times."""
    mask = np.zeros(shape, bool)
    for one in found:
        for ring in (one.outer, *one.holes):
            for (x0, y0), (x1, y1) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
                assert (x0 == x1) != (y0 == y1)
                mask[min(y0, y1) : max(y0, y1), x0:] ^= x0 == x1
    return mask


def shapes() -> list[NDArray[np.bool_]]:
    ring = np.zeros((9, 12), bool)
    ring[1:8, 1:11], ring[2:7, 2:10], ring[4, 4:6] = True, False, True
    corner = np.eye(4, dtype=bool)
    random = [np.random.default_rng(seed).random((17, 23)) < 0.5 for seed in range(20)]
    return [ring, corner, ~corner, np.ones((3, 5), bool), np.zeros((3, 5), bool), *random]


@pytest.mark.parametrize("mask", shapes())
def test_polygons_give_the_mask_back(mask: NDArray[np.bool_]) -> None:
    assert (filled(polygons(mask), mask.shape) == mask).all()


def test_an_island_in_a_hole_is_a_piece_of_its_own() -> None:
    ring, island = polygons(shapes()[0])
    assert len(ring.holes) == 1 and not island.holes
    assert ring.outer.tolist() == [[1, 1], [11, 1], [11, 8], [1, 8]] and len(ring.holes[0]) == 4
    assert island.outer.tolist() == [[4, 4], [6, 4], [6, 5], [4, 5]]


def test_the_piece_of_a_hole_is_not_sought_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a mask of 500 pieces with 300 holes takes 8 s: each of 400 rings has the hole that was drawn into it."""
    mask = np.kron(np.ones((20, 20), bool), np.pad(np.pad([[False]], 1, constant_values=True), 1))
    asked = list[int]()
    monkeypatch.setattr("backdrop.shapes._holds", lambda ring, hole: bool(asked.append(1)) or _holds(ring, hole))
    found = polygons(mask)
    assert len(found) == 400 and len(asked) == 400
    for piece in found:
        (hole,) = piece.holes
        assert (hole.min(axis=0) == piece.outer.min(axis=0) + 1).all()


@pytest.mark.parametrize("mask", shapes())
def test_coco_reads_the_runs(mask: NDArray[np.bool_]) -> None:
    """By faster-coco-eval, whose C code is that of pycocotools."""
    runs = {"size": list(mask.shape), "counts": coco_runs(mask).encode()}
    assert (coco.decode(runs) == mask).all()
    assert runs["counts"] == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


def result(score: float | None = None) -> Result:
    image = np.full((10, 20, 3), 100, np.uint8)
    mask = np.zeros((10, 20), np.float32)
    mask[2:6, 3:9], mask[6, 3:9] = 1, 0.3
    return Result(image, (Found(mask, (2.5, 1.5, 9.5, 7.0), 0.7, score),))


def test_a_result_becomes_pictures_and_an_annotation() -> None:
    found = result(0.8)
    assert found.found and found.score == 0.8 and found.box == (2.5, 1.5, 9.5, 7.0)
    annotation = found.to_coco(image_id=7)
    assert annotation is not None
    assert (annotation["image_id"], annotation["bbox"], annotation["area"]) == (7, [3, 2, 6, 4], 24)
    cut = np.asarray(found.cutout())
    assert cut.shape == (10, 20, 4) and cut[3, 4].tolist() == [100, 100, 100, 255] and cut[6, 4, 3] == 76
    assert (cut[0, 0] == 0).all()
    assert found.plot().mode == "RGB" and found.plot().size == (20, 10)


def test_a_score_below_a_half_is_no_subject() -> None:
    empty = result(0.49)
    assert not empty.found and empty.box is None and empty.to_coco() is None and not empty.mask.any()
    assert empty.polygons() == [] and empty.score == 0.49 and not empty.rgba().any()
    assert (empty.overlay() == empty.image).all()


class Engine:
    """Says of each frame that its left half is the subject, and counts what it is asked at once."""

    def __init__(self) -> None:
        self.asked = list[int]()

    def __call__(self, images: Sequence[Pixels]) -> list[list[Found]]:
        self.asked.append(len(images))
        masks = [np.zeros(image.shape[:2], np.float32) for image in images]
        for mask in masks:
            mask[:, : mask.shape[1] // 2] = 1
        return [[Found(mask, (0.0, 0.0, mask.shape[1] / 2, mask.shape[0]), 0.5)] for mask in masks]


def endless(path: Path, stride: int, _broken: object) -> object:
    """A video that never ends."""
    number = 0
    while True:
        yield SimpleNamespace(number=number, image=np.zeros((4, 6, 3), np.uint8), start=Fraction(number, 10))
        number += stride


def model() -> tuple[Model, Engine]:
    engine = Engine()
    return Model(engine, Reader(lambda path: np.asarray(Image.open(path).convert("RGB")), endless)), engine  # type: ignore[arg-type]


def test_a_model_takes_what_users_call_an_image(tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    Image.fromarray(frame).save(tmp_path / "a.png")
    apply, engine = model()
    grey = Image.fromarray(frame[..., 0])
    images = [str(tmp_path / "a.png"), tmp_path / "a.png", frame, frame[..., 0], Image.fromarray(frame), grey]
    found = apply(images)
    assert engine.asked == [6] and [one.number for one in found] == list(range(6))
    assert [one.name for one in found] == ["a.png", "a.png", "", "", "", ""]
    for one in (found[0], found[1], found[2], found[4]):
        assert (one.image == frame).all() and one.mask.shape == (8, 12)
    assert (found[3].image == frame[..., :1]).all() and (found[5].image == found[3].image).all()
    assert apply(frame).mask.mean() == 0.5


def test_a_turned_pil_image_is_turned_upright() -> None:
    picture = Image.fromarray(np.zeros((8, 12, 3), np.uint8))
    picture.getexif()[0x112] = 6
    assert model()[0](picture).image.shape == (12, 8, 3)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.zeros((8, 12, 3), np.float32), "expected uint8"),
        (np.zeros((3, 8, 12), np.uint8), r"expected RGB \(H, W, 3\) or grey"),
        (np.zeros((8, 12, 4), np.uint8), r"expected RGB \(H, W, 3\) or grey"),
        (Image.fromarray(np.zeros((4, 4), np.uint16)), "more than 8 bits"),
        (5, "of the type int"),
        (np.zeros((0, 5), np.uint8), r"shape \(0, 5\), expected RGB"),
        (np.zeros((5, 0), np.uint8), r"shape \(5, 0\), expected RGB"),
        (Path(__file__).parent, "is a folder, expected an image"),
    ],
)
def test_what_is_no_image_is_refused(image: object, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        model()[0](image)  # type: ignore[call-overload]


def test_a_pil_image_whose_file_is_cut_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:2000])
    with Image.open(tmp_path / "a.jpg") as image, pytest.raises(ValueError, match="PIL image cannot be read"):
        model()[0](image)


def test_results_are_told_apart_and_found_again() -> None:
    one, other = result(0.8), result(0.8)
    assert one == one and one != other and [one, other].index(other) == 1 and len({one, other}) == 2


def test_a_video_is_read_no_further_than_it_is_asked_for() -> None:
    apply, engine = model()
    results = apply.video("endless.mp4", stride=3, batch=4)
    assert engine.asked == []
    found = [next(results) for _ in range(5)]
    assert [one.number for one in found] == [0, 3, 6, 9, 12] and engine.asked == [4, 4]
    assert [one.time for one in found[:2]] == [0.0, 0.3] and found[0].name == "endless.mp4"


def test_large_frames_come_a_few_at_a_time() -> None:
    """16 frames of 4K with their masks would take .9 GB."""
    apply, engine = model()
    frame = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (2160, 3840, 3))
    frames = [SimpleNamespace(number=number, image=frame, start=None) for number in range(5)]
    apply._reader = Reader(lambda _: frame, lambda *_: iter(frames))  # type: ignore[arg-type,return-value]
    assert len(list(apply.video("large.mp4"))) == 5 and engine.asked == [3, 2]
    apply([frame] * 4)
    assert engine.asked[2:] == [3, 1]


@pytest.mark.parametrize("wrong", [{"stride": 0}, {"batch": 0}])
def test_a_number_out_of_range_is_refused_at_once(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        model()[0].video("in.mp4", **wrong)


def test_it_prints_what_a_person_asks_first() -> None:
    subject = Found(np.ones((4, 6), np.float32), (1.0, 0.0, 5.0, 4.0), 0.3, 0.91)
    printed = repr(Result(np.zeros((4, 6, 3), np.uint8), (subject,), "cat.jpg", 2))
    assert printed == "Result(name='cat.jpg', number=2, found=True, score=0.910, box=(1.0, 0.0, 5.0, 4.0))"


def test_a_stride_between_two_frames_is_refused() -> None:
    """2.5 would take the frames 0 and 5, 10, ... without a word."""
    with pytest.raises(ValueError, match=r"stride of Model is 2\.5, expected a whole number"):
        model()[0].video("in.mp4", stride=2.5)  # type: ignore[arg-type]
