"""The masks of a clip in memory: of which pixels they say what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.clips.annotations import ClipMasks, read_masks
from datamodules.clips.clip import Clip, Mask
from datamodules.readers import ImageFrames, resize_known, resize_mask


def kept(folder: Path, size: tuple[int, int], *masks: Mask) -> ClipMasks:
    """Masks after they were read for frames of their size."""
    folder.mkdir(exist_ok=True)
    readers: dict[int, Callable[[], Mask]] = {}
    for number, mask in enumerate(masks):
        Image.new("RGB", mask.shape[::-1]).save(folder / f"{number}.png")
        readers[number] = lambda mask=mask: mask  # type: ignore[misc]
    return read_masks(Clip("a", ImageFrames(folder), readers), np.arange(len(masks)), size)


def halves(*values: int) -> NDArray[np.uint8]:
    """A mask of 4 x 4 pixels, a value for each column."""
    return np.tile(np.array(values, np.uint8), (4, 1))


def test_unknown_pixels_are_kept_apart_from_background(tmp_path: Path) -> None:
    objects = np.ma.masked_equal(halves(0, 2, 9, 1), 9)
    masks = kept(tmp_path, (4, 4), objects, halves(0, 1, 1, 0) > 0, np.ma.masked_less(halves(3, 3, 3, 3), 9))
    assert masks.annotated.tolist() == [True, True, False] and masks.blank == 1  # of the last nothing is known
    assert (masks.objects(0) == halves(0, 2, 0, 1)).all() and (masks.known(0) == (halves(1, 1, 0, 1) > 0)).all()
    assert (masks[1] == (halves(0, 1, 1, 0) > 0)).all() and masks.known(1).all()
    assert not masks[2].any() and not masks.known(2).any()


def test_a_scaled_pixel_is_what_at_least_half_of_its_known_area_is(tmp_path: Path) -> None:
    """Two columns make one. Exact arithmetic on areas, not on values: an unknown half does not thin the subject out."""
    subject, unknown = np.array([[1, 0, 1, 1], [0, 0, 0, 0]], bool), np.array([[0, 1, 1, 1], [0, 1, 1, 0]], bool)
    masks = kept(tmp_path, (1, 2), np.ma.masked_array(subject, unknown))
    assert masks[0].tolist() == [[True, False]]  # of the left block two pixels are known, and one is the subject
    assert masks.known(0).tolist() == [[True, False]]  # one of the right four


def test_a_mask_that_is_known_everywhere_is_scaled_as_ever() -> None:
    shapes = np.random.default_rng(0).random((48, 64)) > 0.4
    for size in ((48, 64), (20, 30), (7, 9), (90, 100)):
        mask, known = resize_known(shapes, np.ones_like(shapes), size)
        assert known.all() and (mask == resize_mask(shapes, size)).all()
