"""Pictures and their notes are written whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from callbacks.pictures.panels import panels
from callbacks.pictures.png import read_notes, save_png
from callbacks.pictures.sheet import save_sheet
from tests.callbacks.toy import drawn_frame


def test_a_sheet_says_how_to_cut_it(tmp_path: Path) -> None:
    """Its notes name rows and columns and lead to the very panels."""
    frames = [drawn_frame(), {**drawn_frame(), "index": 7, "note": "best J 0.500", "mask": drawn_frame()["image"][:1]}]
    save_sheet(tmp_path / "sheet.png", frames)
    with Image.open(tmp_path / "sheet.png") as image:
        notes, pixels = read_notes(image), np.asarray(image)
    assert notes["rows"] == ["bear 3", "bear 7 best J 0.500"]
    assert notes["columns"] == ["frame and box", "composite", "soft mask", "overlay"]
    width, height = notes["panel"]
    for frame, top in zip(frames, notes["tops"], strict=True):
        for panel, left in zip(panels(frame).values(), notes["lefts"], strict=True):
            assert (pixels[top : top + height, left : left + width] == panel.permute(1, 2, 0).numpy()).all()


def test_other_pictures_have_no_notes(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    text = PngImagePlugin.PngInfo()
    text.add_text("backdrop", "{no JSON")
    Image.new("RGB", (2, 2)).save(tmp_path / "b.png", pnginfo=text)
    for name in ("a.png", "b.png"):
        with Image.open(tmp_path / name) as image:
            assert read_notes(image) == {}


def test_save_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the earlier picture as it was, and no other file."""
    path = tmp_path / "deep" / "sheet.png"
    save_png(path, np.zeros((4, 4, 3), np.uint8))
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_png(path, np.ones((4, 4, 3), np.uint8))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
