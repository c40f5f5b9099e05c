"""MaskImages: which frames are drawn, the sheet on disk, and what W&B receives offline."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from pytorch_lightning.loggers import WandbLogger

from callbacks import ChosenFrames, MaskImages, MaskMetrics
from callbacks.mask_images import SUBJECT_COLOURS, chosen_rows, draw_detection, panels, save_sheet, sheet
from callbacks.png import read_notes, save_png
from tests.callbacks import toy
from tests.wandb_log import logged_rows

CLIPS = {"bear": 6, "camel": 6}


def picture(path: Path) -> NDArray[np.uint8]:
    """Read a PNG as an array (H, W, 3)."""
    return np.asarray(Image.open(path))


def test_chosen_rows_cover_the_split() -> None:
    """The frames lie evenly over the batches, one per clip where clips are equally long, and never repeat."""
    batches = [chosen_rows(batch, 4, 8, 4) for batch in range(8)]
    assert batches == [[], [0], [], [0], [], [0], [], [0]]
    chosen = [4 * batch + row for batch in range(3) for row in chosen_rows(batch, 4, 3, 12)]
    assert chosen == list(range(12))
    assert [chosen_rows(batch, 4, float("inf"), 2) for batch in range(3)] == [[0], [0], []]
    assert chosen_rows(0, 2, 1, 12) == [0, 1]


def test_sheets(tmp_path: Path) -> None:
    """Without a logger the sheets are written, one row a frame, whole and under their names only."""
    data = toy.loader(toy.ToyFrames(CLIPS))
    trainer = toy.trainer(tmp_path, [MaskImages(every_n_epochs=2, num_images=3)], max_epochs=4, num_sanity_val_steps=1)
    trainer.fit(toy.ToyModule(), data, data)
    trainer.test(toy.ToyModule(), data, verbose=False)
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == ["test_sheet.png", "val_step_000008.png", "val_step_000016.png"]
    row = 192 + 2  # a panel is 256 wide, and 24 x 32 in shape
    assert picture(tmp_path / "images" / names[1]).shape == (22 + 3 * row + 2, 6 * 258 + 2, 3)
    assert picture(tmp_path / "images" / names[0]).shape == (22 + 9 * row + 2, 6 * 258 + 2, 3)
    assert (picture(tmp_path / "images" / names[1]) == picture(tmp_path / "images" / names[2])).all()


def test_every_validation_of_an_epoch_leaves_its_sheet(tmp_path: Path) -> None:
    """Several validations in one epoch do not write over each other."""
    data = toy.loader(toy.ToyFrames(CLIPS))
    toy.trainer(tmp_path, [MaskImages()], val_check_interval=2).fit(toy.ToyModule(), data, data)
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == ["val_step_000002.png", "val_step_000004.png"]


def test_a_limited_validation_is_drawn_from_its_first_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows lie evenly over that batch; where it is small, the next ones fill the sheet."""
    drawn: list[list[tuple[str, int]]] = []

    def note(path: Path, frames: list[dict[str, Any]]) -> torch.Tensor:
        drawn.append([(frame["clip"], frame["index"]) for frame in frames])
        return torch.zeros(3, 4, 4, dtype=torch.uint8)

    monkeypatch.setattr("callbacks.mask_images.save_sheet", note)
    trainer = toy.trainer(tmp_path, [MaskImages(num_images=3)], limit_val_batches=3)
    for batch_size in (6, 2):
        trainer.validate(toy.ToyModule(), toy.loader(toy.ToyFrames(CLIPS), batch_size), verbose=False)
    assert drawn == [[("bear", 10), ("bear", 30), ("bear", 50)], [("bear", 0), ("bear", 20), ("bear", 30)]]


def test_a_sheet_says_how_to_cut_it(tmp_path: Path) -> None:
    """Its notes name rows and columns and lead to the very panels."""
    frames = [toy_frame(), {**toy_frame(), "index": 7, "note": "best J 0.500", "mask": torch.zeros(1, 64, 128)}]
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


def test_chosen_frames_are_drawn_in_order(tmp_path: Path) -> None:
    """Every frame of the test, with its note where it has one."""
    drawing = ChosenFrames(tmp_path / "test_frames.png", {("bear", 10): "worst J 0.100"})
    trainer = toy.trainer(tmp_path, [drawing])
    for _ in range(2):  # a second test starts anew
        trainer.test(toy.ToyModule(), toy.loader(toy.ToyFrames({"bear": 2, "camel": 1}), 2), verbose=False)
    with Image.open(tmp_path / "test_frames.png") as image:
        assert read_notes(image)["rows"] == ["bear 0", "bear 10 worst J 0.100", "camel 0"]


@pytest.mark.parametrize("masks", [True, False])
def test_inpainter_sheet(tmp_path: Path, masks: bool) -> None:
    """The inpainter's output becomes frame, frame with the hole, composite, in a folder of choice."""
    data = toy.loader(toy.ToyFrames(CLIPS, masks=masks))
    folder = tmp_path / "elsewhere"
    trainer = toy.trainer(tmp_path, [MaskImages(directory=str(folder))])
    trainer.validate(toy.ToyModule(inpainter=True), data, verbose=False)
    assert picture(folder / "val_sheet.png").shape[1] == 3 * 258 + 2
    assert not (tmp_path / "images").exists()


def toy_frame() -> dict[str, Any]:
    """Make a black frame with a box in its right half, and a detector sure of its upper left cell."""
    probability = torch.zeros(8, 8)
    probability[0, 0] = 1
    black = torch.zeros(3, 64, 128)
    return {
        "clip": "bear",
        "index": 3,
        "image": black,
        "composite": black,
        "mask": torch.ones(1, 64, 128),
        "box": torch.tensor([0.5, 0.0, 0.25, 0.5]),
        "probability": probability,
    }


def test_detection_is_drawn_in_place() -> None:
    """The dot lies on its cell, the line starts there and ends at the box's centre, the box at its edges."""
    drawn = draw_detection(torch.zeros(3, 64, 128, dtype=torch.uint8), toy_frame())
    blue, green = drawn[2] > 200, drawn[1] > 200
    assert drawn[:, 5, 6][2] > drawn[:, 5, 6][1]  # beside the centre of cell (0, 0): (8, 4)
    assert not blue[:, 20:].any()
    assert green[32, 96] and green[18, 52]  # the line's end, and half way
    assert green[16:48, 80].all() and green[16, 80:112].all()
    untouched = draw_detection(torch.zeros(3, 8, 8, dtype=torch.uint8), {"box": torch.full((4,), float("nan"))})
    assert not untouched.any()
    one_cell = {**toy_frame(), "probability": torch.ones(1, 1)}
    regressed = draw_detection(torch.zeros(3, 64, 128, dtype=torch.uint8), one_cell)
    assert not (regressed[2] > 200).any() and regressed[1, 16:48, 80].min() > 200


def test_labels_can_be_read() -> None:
    """Every letter is as bright as on a black ground, whatever the frame, and no shadow lies over it."""
    frames = [toy_frame(), {**toy_frame(), "image": torch.ones(3, 64, 128)}, {**toy_frame(), "clip": "bean"}]
    for frame in frames:
        del frame["box"]
    black, white, other = (panels(frame)["frame and box"][:, -13:, 4:40] for frame in frames)
    assert torch.equal(black, white) and (black == 0).sum() > (black > 150).sum() > 30
    assert not torch.equal(black, other)


def test_the_background_is_named_after_its_maker() -> None:
    """Plates are the background; without them it is painted."""
    frame = {**toy_frame(), "background": torch.zeros(3, 64, 128)}
    assert "painted" in panels(frame) and "background" not in panels(frame)
    assert "background" in panels({**frame, "plate": True}) and "painted" not in panels({**frame, "plate": True})


def test_panels_follow_the_output() -> None:
    """Columns that the output lacks are left out; a row without truth leaves its place black."""
    frame = toy_frame()
    assert list(panels(frame)) == ["frame and box", "composite", "soft mask", "overlay"]
    without = {key: value for key, value in frame.items() if key != "composite"}  # of a method that inpaints nothing
    assert list(panels(without)) == ["frame and box", "soft mask", "overlay"]
    both = sheet([frame, {**frame, "truth": torch.ones(1, 128, 256)}])
    assert both.shape == (3, 22 + 2 * 130 + 2, 5 * 258 + 2)
    assert not both[:, 30:140, -200:-100].any() and (both[:, 160:270, -200:-100] == 255).all()


def test_broken_numbers_are_drawn_too() -> None:
    """NaN in the outputs does not stop the picture: it is what one wants to look at."""
    frame = {key: value * float("nan") if torch.is_tensor(value) else value for key, value in toy_frame().items()}
    assert sheet([frame]).dtype == torch.uint8


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


def test_refuses() -> None:
    """Numbers below one are refused with a way out."""
    with pytest.raises(ValueError, match="every_n_epochs=0"):
        MaskImages(every_n_epochs=0)


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline W&B gets the sheet, and each frame with its two masks and its box in fractions, step by Lightning."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    logger = WandbLogger(project="test", save_dir=tmp_path, offline=True)
    data = toy.loader(toy.ToyFrames(CLIPS))
    trainer = toy.trainer(tmp_path, [MaskImages(num_images=2), MaskMetrics()], logger=logger, max_epochs=2)
    try:
        trainer.fit(toy.ToyModule(), data, data)
        trainer.test(toy.ToyModule(), data, verbose=False)
    finally:
        wandb.finish()
    (path,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    for _ in range(50):  # W&B's own process may close the file a moment after finish() has returned
        rows = [{name: json.loads(text) for name, text in row.items()} for row in logged_rows(path)]
        keys = {key for row in rows for key in row}
        if "test/masks/count" in keys:
            break
        time.sleep(0.2)
    assert {"val/j_mean", "test/best_boundary_f", "val/sheet/count", "test/sheet/count", "test/masks/count"} <= keys
    shown = [row for row in rows if "val/masks/count" in row]
    assert [row["val/masks/count"] for row in shown] == [2, 2]
    assert [row["trainer/global_step"] for row in shown] == [3, 7]  # the metrics' own step
    assert shown[0]["val/masks/captions"] == shown[1]["val/masks/captions"] == ["bear 0", "bear 20"]
    assert {name for masks in shown[0]["val/masks/all_masks"] for name in masks} == {"prediction", "ground_truth"}
    boxes = path.parent / "files" / shown[0]["val/masks/all_boxes"][0]["prediction"]["path"]
    stored = json.loads(boxes.read_text())
    position = stored["box_data"][0]["position"]
    assert 0 <= position["minX"] < position["maxX"] <= 1 and 0 <= position["minY"] < position["maxY"] <= 1


def test_every_subject_has_a_colour() -> None:
    """Boxes and masks of several subjects are told apart; empty slots are not drawn."""
    masks = torch.zeros(3, 24, 32)
    masks[0, :, :10], masks[1, :, 22:] = 1, 1
    frame = {
        "image": torch.full((3, 24, 32), 0.5), "clip": "bear", "index": 0, "mask": masks.amax(0, keepdim=True),
        "composite": torch.zeros(3, 24, 32), "box": torch.tensor([-0.7, 0.0, 0.3, 0.9]),
        "subject_mask": masks, "subject_confidence": torch.tensor([0.6, 0.4, 0.0]),
        "subject_box": torch.tensor([[-0.7, 0.0, 0.3, 0.9], [0.7, 0.0, 0.3, 0.9], [0.0, 0.0, 0.0, 0.0]]),
    }  # fmt: skip
    drawn = panels(frame)
    left, middle, right = (drawn["overlay"][:, 96, x].int() for x in (40, 128, 216))
    assert left[0] > left[2] and right[2] > right[0] and middle.tolist() == [128] * 3
    colours = {tuple(colour) for colour in drawn["frame and box"].flatten(1).T.tolist()}
    assert {SUBJECT_COLOURS[0], SUBJECT_COLOURS[1]} <= colours and SUBJECT_COLOURS[2] not in colours
