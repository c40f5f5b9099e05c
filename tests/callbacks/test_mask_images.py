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
from PIL import Image
from pytorch_lightning.loggers import WandbLogger

from callbacks import ChosenFrames, MaskImages, MaskMetrics
from callbacks.mask_images import chosen_rows
from callbacks.pictures.png import read_notes
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


def test_refuses() -> None:
    with pytest.raises(ValueError, match="every_n_epochs of MaskImages is 0, expected at least 1"):
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
