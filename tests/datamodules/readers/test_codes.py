"""Masks of codes: what each value stands for, and what is left open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.readers.codes import decode, read_values

CODES = np.array([[0, 50, 85], [170, 255, 3]], np.uint8)


def test_every_code_is_subject_background_or_unknown() -> None:
    said: list[str] = []
    mask = decode(CODES, subject=(255,), background=(0, 50), unknown=(85, 170), notice=said.append)
    assert np.ma.getdata(mask).tolist() == [[False] * 3, [False, True, False]]
    assert np.ma.getmaskarray(mask).tolist() == [[False, False, True], [True, False, True]]
    assert said == ["there are values that stand for nothing (3): these pixels are left out of the scores"]


def test_grey_values_are_read_from_files_of_any_mode(tmp_path: Path) -> None:
    """Pillow weighs colours to 1, so grey in three channels is the same grey."""
    grey = Image.fromarray(CODES)
    for mode in ("L", "RGB", "RGBA", "P"):
        grey.convert(mode).save(tmp_path / "a.png")
        assert (read_values(tmp_path / "a.png") == CODES).all()
    Image.fromarray(CODES > 127).save(tmp_path / "b.bmp")
    assert read_values(tmp_path / "b.bmp").tolist() == [[0, 0, 0], [255, 255, 0]]


def test_colours_are_numbers_of_24_bits(tmp_path: Path) -> None:
    colours = np.array([[[255, 255, 255], [0, 0, 0], [1, 2, 3]]], np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.ppm")
    assert read_values(tmp_path / "a.ppm", colours=True).tolist() == [[0xFFFFFF, 0, 0x010203]]
    Image.fromarray(CODES).save(tmp_path / "b.pgm")
    assert (read_values(tmp_path / "b.pgm", colours=True) == CODES).all()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No mask at .*a\.png"):
        read_values(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"Cannot read the mask .*a\.png"):
        read_values(tmp_path / "a.png")
