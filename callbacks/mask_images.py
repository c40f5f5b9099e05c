"""MaskImages: frame, box, background, mask and composite as one picture sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks, make_grid

from backdrop.boxes import to_corners
from backdrop.settings import Place
from callbacks.png import save_png

PANEL_WIDTH = 256
"""Width of one panel in pixels; its height follows the frame's shape."""

HEADER = 22
"""Height of the line that names the columns, in pixels."""

PADDING = 2
"""Width of the white line around every panel, in pixels."""

FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42

MASK_LABELS = {0: "background", 1: "subject"}
BLUE, GREEN, RED = (40, 90, 255), (40, 220, 60), (255, 60, 40)

SUBJECT_COLOURS = ((255, 64, 64), (64, 160, 255), (255, 200, 40), (200, 90, 255), (70, 230, 200), (255, 130, 200))
"""RGB of the first, second, ... subject of a frame; after the last one they come again."""

Frame = dict[str, Any]
"""One frame of a batch and of its step output: tensors without the batch axis on the CPU, ``clip`` and ``index``;
it may have a ``note``, which is written behind them."""


class MaskImages(pl.Callback):
    """Draw what the model sees, as one sheet of pictures per validation and test (paper, Fig. 9).

    A row is a frame: the frame with its box, a blue dot for every cell of the detector (its area is the cell's
    probability, as a share of the largest) and a green line from the most probable cell to the box's centre; the
    background where the batch brings plates of it, else what is painted; the composite; the soft mask; the mask laid
    over the frame; the true mask. Columns that the step output lacks are left out. Where several subjects were sought,
    each has a box and a mask of its own colour. The output of the inpainter (``hole``) becomes frame, frame with the
    hole, composite.

    The frames are the same in every epoch. In a test they lie evenly over the whole split, and so over its clips; in
    validation, of which often but the first batches are used, they come from the first, over which our data modules
    spread the clips. The sheet is
    written to ``<directory>/val_step_000350.png``, by optimiser steps, to ``val_sheet.png`` where nothing is trained,
    and to ``test_sheet.png``; each frame goes to W&B with its mask and box, where there is a W&B logger. Only rank
    zero draws, from the frames it has.

    Args:
        every_n_epochs: Draw in validation after every so many epochs.
        num_images: Frames on the sheet in validation; the sheet of a test holds three times as many.
        directory: Folder of the sheets; None for ``images`` in the trainer's ``default_root_dir``.

    Raises:
        ValueError: If ``every_n_epochs`` or ``num_images`` is less than 1.
    """

    def __init__(
        self, every_n_epochs: Place[int] = 1, num_images: Place[int] = 4, directory: Place[str | None] = None
    ) -> None:
        """Start without frames."""
        super().__init__()
        if every_n_epochs < 1 or num_images < 1:
            raise ValueError(
                f"MaskImages got every_n_epochs={every_n_epochs} and num_images={num_images}; give 1 or more, or leave "
                "the callback out to draw nothing"
            )
        self.every_n_epochs = every_n_epochs
        self.num_images = num_images
        self.directory = directory
        self._frames: list[Frame] = []

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last epoch's frames."""
        self._frames = []

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the frames of this batch that belong on the sheet."""
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if (due or trainer.state.fn != TrainerFn.FITTING) and not trainer.sanity_checking:
            self._collect(outputs, batch, batch_idx, 1, self.num_images)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the sheet, after the metrics were logged: W&B then files it under their step."""
        fitting = trainer.state.fn == TrainerFn.FITTING
        self._draw(trainer, "val", f"val_step_{trainer.global_step:06d}.png" if fitting else "val_sheet.png")

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last epoch's frames."""
        self._frames = []

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the frames of this batch that belong on the sheet."""
        self._collect(outputs, batch, batch_idx, trainer.num_test_batches[dataloader_idx], 3 * self.num_images)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the sheet, after the metrics were logged: W&B then files it under their step."""
        self._draw(trainer, "test", "test_sheet.png")

    @rank_zero_only
    def _collect(self, outputs: object, batch: object, batch_idx: int, batches: int | float, wanted: int) -> None:
        """Copy the chosen frames of one batch, if the step returned pictures."""
        if not isinstance(outputs, Mapping) or not isinstance(batch, Mapping):
            return
        if not {"composite", "mask"} & outputs.keys():
            return
        size = len(batch["image"])
        for row in chosen_rows(batch_idx, size, max(batches, math.ceil(wanted / size)), wanted):
            self._frames.append(frame_of(outputs, batch, row))

    @rank_zero_only
    def _draw(self, trainer: pl.Trainer, stage: str, name: str) -> None:
        """Write the sheet of the frames kept, and send them to W&B."""
        if not self._frames:
            return
        folder = Path(self.directory) if self.directory else Path(trainer.default_root_dir) / "images"
        picture = save_sheet(folder / name, self._frames)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                log_to_wandb(logger, stage, picture, self._frames)
        self._frames = []


def chosen_rows(batch_idx: int, batch_size: int, batches: int | float, wanted: int) -> list[int]:
    """Choose which frames of a batch are drawn, so that all of them lie evenly over the split.

    Args:
        batch_idx: Number of this batch.
        batch_size: Frames in it.
        batches: Number of batches in the split; infinite if not known, then the first ones serve.
        wanted: Frames to draw in total.

    Returns:
        Rows of this batch, in ascending order.
    """
    if math.isinf(batches):
        return [0] if batch_idx < wanted else []
    places = [(k + 0.5) * batches / wanted for k in range(wanted)]  # in batches from the split's beginning
    return sorted({int((place - batch_idx) * batch_size) for place in places if int(place) == batch_idx})


def frame_of(outputs: Mapping[str, Any], batch: Mapping[str, Any], row: int) -> Frame:
    """Copy one frame of a batch and of its step output.

    Args:
        outputs: The step output, with a ``composite``.
        batch: The batch.
        row: Which of its frames.

    Returns:
        The frame.
    """
    frame: Frame = {"clip": batch["clip"][row], "index": int(batch["index"][row]), "image": batch["image"][row]}
    keys = ["mask", "box", "confidence", "probability", "composite", "background", "hole"]
    keys += ["subject_mask", "subject_box", "subject_confidence"]
    frame["plate"] = "plate" in batch
    frame.update({key: outputs[key][row] for key in keys if key in outputs})
    if "mask" in batch and ("annotated" not in batch or bool(batch["annotated"][row])):
        frame["truth"] = batch["mask"][row]
    return {key: _on_cpu(value) for key, value in frame.items()}


def save_sheet(path: Path, frames: list[Frame]) -> Tensor:
    """Write the sheet of several frames; its notes say what is where, so that it can be cut up again.

    The notes hold the names of the ``columns`` and ``rows``, the ``lefts`` of the columns and ``tops`` of the rows in
    pixels, and the (width, height) of a ``panel``.

    Args:
        path: Where to.
        frames: Frames of one split, all of one size.

    Returns:
        The sheet, (3, H, W), uint8.
    """
    picture, columns = _laid_out(frames)
    height = (picture.shape[1] - HEADER - PADDING) // len(frames)
    notes = {
        "columns": columns,
        "rows": [label(frame) for frame in frames],
        "lefts": [PADDING + column * (PANEL_WIDTH + PADDING) for column in range(len(columns))],
        "tops": [HEADER + PADDING + row * height for row in range(len(frames))],
        "panel": [PANEL_WIDTH, height - PADDING],
    }
    save_png(path, picture.permute(1, 2, 0).numpy(), notes)
    return picture


def label(frame: Frame) -> str:
    """Name a frame: its clip, its number and, where it has one, its ``note``."""
    return " ".join(str(frame[key]) for key in ("clip", "index", "note") if key in frame)


def sheet(frames: list[Frame]) -> Tensor:
    """Lay out the panels of several frames, one row each, under a line that names the columns.

    Args:
        frames: Frames of one split, all of one size.

    Returns:
        The sheet, (3, H, W), uint8.
    """
    return _laid_out(frames)[0]


def _laid_out(frames: list[Frame]) -> tuple[Tensor, list[str]]:
    """The sheet of several frames, and the names of its columns."""
    rows = [panels(frame) for frame in frames]
    names = list(dict.fromkeys(name for row in rows for name in row))  # a column may be missing in some rows
    blank = torch.zeros_like(next(iter(rows[0].values())))
    grid = make_grid([row.get(name, blank) for row in rows for name in names], len(names), PADDING, pad_value=255)
    header = np.full((HEADER, grid.shape[2], 3), 255, np.uint8)
    for column, name in enumerate(names):
        _write(header, name, (8 + column * (PANEL_WIDTH + PADDING), HEADER - 7), (0, 0, 0))
    return torch.cat([torch.from_numpy(header).permute(2, 0, 1), grid], dim=1), names


def panels(frame: Frame) -> dict[str, Tensor]:
    """Draw the panels of one frame (paper, Fig. 9).

    Args:
        frame: A frame and its step output.

    Returns:
        Pictures by column name, (3, height, 256), uint8.
    """
    image = _panel(frame["image"])
    if "hole" in frame:
        hole = frame["hole"]
        return {
            "frame": _labelled(image, label(frame)),
            "frame with hole": _panel(frame["image"] * (1 - hole) + 0.5 * hole),
            "composite": _panel(frame["composite"]),
        }
    drawn = {"frame and box": _labelled(draw_detection(image, frame), label(frame))}
    if "background" in frame:
        drawn["background" if frame.get("plate") else "painted"] = _panel(frame["background"])
    if "composite" in frame:
        drawn["composite"] = _panel(frame["composite"])
    if "mask" in frame:
        soft = _panel(frame["mask"].expand(3, -1, -1))
        drawn["soft mask"] = soft
        drawn["overlay"] = draw_subjects(image, frame)
    if "truth" in frame:
        drawn["true mask"] = _panel(frame["truth"].expand(3, -1, -1))
    return drawn


def subject_colour(number: int) -> tuple[int, int, int]:
    """RGB of a subject, numbered from 0."""
    return SUBJECT_COLOURS[number % len(SUBJECT_COLOURS)]


def draw_subjects(image: Tensor, frame: Frame) -> Tensor:
    """Lay the masks over a frame, one colour for each subject.

    Args:
        image: The frame, (3, H, W), uint8.
        frame: Its step output: ``mask`` (1, h, w), or ``subject_mask`` (N, h, w).

    Returns:
        The picture, (3, H, W), uint8.
    """
    masks, colours = frame["mask"], [RED]
    if "subject_mask" in frame:
        masks = frame["subject_mask"]
        colours = [subject_colour(number) for number in range(len(masks))]
    inside = torch.stack([_panel(mask.expand(3, -1, -1))[0] >= 128 for mask in masks])
    drawn: Tensor = draw_segmentation_masks(image, inside, alpha=0.5, colors=colours)
    return drawn


def draw_detection(image: Tensor, frame: Frame) -> Tensor:
    """Draw the box, the cells' probabilities and the way from the best cell to the box onto a frame.

    Several subjects have a box each, and no such way.

    Args:
        image: The frame, (3, H, W), uint8.
        frame: Its step output; ``box`` (4,) and ``probability`` (h, w) are drawn where they are present and finite.

    Returns:
        The picture, (3, H, W), uint8.
    """
    height, width = image.shape[1:]
    box = frame.get("box")
    if box is None or not box.isfinite().all():
        return image
    boxes, colours = box[None], [GREEN]
    if "subject_box" in frame:
        boxes = frame["subject_box"][frame["subject_confidence"] > 0]
        colours = [subject_colour(number) for number in range(len(boxes))]
    corners = to_corners(boxes, (height, width))
    if (corners[:, 2:] > corners[:, :2]).all():
        image = draw_bounding_boxes(image, corners, colors=colours, width=2)
    probability = frame.get("probability")
    if probability is None or probability.numel() == 1 or not probability.isfinite().all():
        return image  # a single cell has nothing to choose, and its dot would hide the frame
    picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    rows, columns = probability.shape
    cell = (width / columns, height / rows)
    share = (probability / probability.max().clamp(min=1e-12)).clamp(0, 1).sqrt().tolist()  # area ~ probability
    for row in range(rows):
        for column in range(columns):
            radius = round(0.4 * min(cell) * share[row][column])
            if radius:
                centre = (round((column + 0.5) * cell[0]), round((row + 0.5) * cell[1]))
                cv2.circle(picture, centre, radius, BLUE, -1, cv2.LINE_AA)
    if "subject_box" in frame:  # found by all cells together, not by the most probable one
        return torch.from_numpy(picture).permute(2, 0, 1)
    row, column = divmod(int(probability.argmax()), columns)
    start = (round((column + 0.5) * cell[0]), round((row + 0.5) * cell[1]))
    end = (round((float(box[0].clamp(-2, 2)) + 1) / 2 * width), round((float(box[1].clamp(-2, 2)) + 1) / 2 * height))
    cv2.line(picture, start, end, GREEN, 2, cv2.LINE_AA)
    return torch.from_numpy(picture).permute(2, 0, 1)


def log_to_wandb(logger: WandbLogger, stage: str, picture: Tensor, frames: list[Frame]) -> None:
    """Send the sheet, and every frame with its masks and its box as W&B layers, without a step of its own.

    Args:
        logger: The trainer's W&B logger.
        stage: First part of the logged names, ``val`` or ``test``.
        picture: The sheet, (3, H, W), uint8.
        frames: The frames on it.
    """
    logger.log_image(f"{stage}/sheet", [Image.fromarray(picture.permute(1, 2, 0).numpy())])
    shown = [frame for frame in frames if "mask" in frame]
    if shown:
        logger.log_image(
            f"{stage}/masks",
            [Image.fromarray(_uint8(frame["image"]).permute(1, 2, 0).numpy()) for frame in shown],
            caption=[f"{frame['clip']} {frame['index']}" for frame in shown],
            masks=[_wandb_masks(frame) for frame in shown],
            boxes=[_wandb_boxes(frame) for frame in shown],
        )


def _wandb_masks(frame: Frame) -> dict[str, Any]:
    """Give the binary masks of a frame, at its own size, in the form that ``wandb.Image`` takes."""
    size = frame["image"].shape[1:]
    found = {"prediction": F.interpolate(frame["mask"][None], size, mode="bilinear", align_corners=False)[0, 0]}
    if "truth" in frame:
        found["ground_truth"] = F.interpolate(frame["truth"][None], size, mode="nearest-exact")[0, 0]
    return {
        name: {"mask_data": (mask >= 0.5).numpy().astype(np.uint8), "class_labels": MASK_LABELS}
        for name, mask in found.items()
    }


def _wandb_boxes(frame: Frame) -> dict[str, Any] | None:
    """Give the box of a frame in the form that ``wandb.Image`` takes: fractions of the frame."""
    box = frame.get("box")
    if box is None or not box.isfinite().all():
        return None
    left, top, right, bottom = to_corners(box[None], (1, 1))[0].tolist()  # fractions of the frame
    entry: dict[str, Any] = {
        "position": {"minX": left, "maxX": right, "minY": top, "maxY": bottom},
        "class_id": 1,
        "box_caption": "subject",
    }
    if "confidence" in frame:
        entry["scores"] = {"confidence": float(frame["confidence"])}
    return {"prediction": {"box_data": [entry], "class_labels": MASK_LABELS}}


def _on_cpu(value: Any) -> Any:  # noqa: ANN401
    """Copy a tensor to the CPU as float32; leave anything else alone."""
    return value.detach().float().cpu() if isinstance(value, Tensor) else value


def _uint8(image: Tensor) -> Tensor:
    """Round pictures in [0, 1] to bytes; NaN becomes black."""
    return (image.nan_to_num(nan=0.0).clamp(0, 1) * 255).round().to(torch.uint8)


def _panel(image: Tensor) -> Tensor:
    """Bring a picture (3, H, W) in [0, 1] to the panel's size, uint8."""
    height = round(PANEL_WIDTH * image.shape[1] / image.shape[2])
    sized = F.interpolate(image[None], (height, PANEL_WIDTH), mode="bilinear", align_corners=False, antialias=True)
    return _uint8(sized[0])


def _labelled(image: Tensor, text: str) -> Tensor:
    """Write a line onto a dark ground in the lower left corner of a picture (3, H, W), uint8."""
    picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    bottom = picture.shape[0]
    (width, height), below = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    cv2.rectangle(picture, (0, bottom - height - below - 6), (width + 7, bottom), (0, 0, 0), -1)
    _write(picture, text, (4, bottom - below - 2), (255, 255, 255))
    return torch.from_numpy(picture).permute(2, 0, 1)


def _write(picture: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write text onto a picture (H, W, 3) in place."""
    cv2.putText(picture, text, place, FONT, FONT_SCALE, colour, 1, cv2.LINE_AA)
