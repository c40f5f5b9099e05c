"""The panels of one frame: what the model sees and finds in it (paper, Fig. 9)."""

from __future__ import annotations

from typing import TypedDict, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from backdrop.boxes import to_corners
from backdrop.contracts import Batch, StepOutput
from backdrop.drawing import subject_colour

PANEL_WIDTH = 256
"""Width of one panel in pixels; its height follows the frame's shape."""

BLUE, GREEN, RED = (40, 90, 255), (40, 220, 60), (255, 60, 40)

FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


class Frame(TypedDict, total=False):
    """One frame of a batch and of its step output: tensors without the batch axis, float32, on the CPU.

    Attributes:
        clip: Name of its clip.
        index: Its number there.
        image: See :class:`~backdrop.contracts.Batch`.
        truth: Its true mask, where it has one.
        known: Where the true mask says what is there, where it does not say it everywhere.
        plate: Whether its background comes from a plate.
        note: What is written behind its name.
        mask: This and the rest: see :class:`~backdrop.contracts.StepOutput`.
    """

    clip: str
    index: int
    image: Tensor
    truth: Tensor
    known: Tensor
    plate: bool
    note: str
    mask: Tensor
    box: Tensor
    confidence: Tensor
    probability: Tensor
    composite: Tensor
    background: Tensor
    hole: Tensor
    subject_mask: Tensor
    subject_box: Tensor
    subject_confidence: Tensor


def frame_of(outputs: StepOutput, batch: Batch, row: int) -> Frame:
    """Copy one frame of a batch and of its step output.

    Args:
        outputs: The step output, with a ``composite``.
        batch: The batch.
        row: Which of its frames.

    Returns:
        The frame.
    """
    found = {name: values for name, values in outputs.items() if name in Frame.__annotations__}
    tensors = cast(dict[str, Tensor], {"image": batch["image"], **found})
    if "mask" in batch and ("annotated" not in batch or bool(batch["annotated"][row])):
        tensors["truth"] = batch["mask"]
        tensors |= {"known": batch["known"]} if "known" in batch else {}
    copied = {name: values[row].detach().float().cpu() for name, values in tensors.items()}
    named = {"clip": batch["clip"][row], "index": int(batch["index"][row]), "plate": "plate" in batch}
    return cast(Frame, {**named, **copied})


def label(frame: Frame) -> str:
    """Name a frame: its clip, its number and, where it has one, its ``note``."""
    return " ".join(str(frame[key]) for key in ("clip", "index", "note") if key in frame)


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
        drawn["background" if frame.get("plate") else "inpainted"] = _panel(frame["background"])
    if "composite" in frame:
        drawn["composite"] = _panel(frame["composite"])
    if "mask" in frame:
        soft = _panel(frame["mask"].expand(3, -1, -1))
        drawn["soft mask"] = soft
        drawn["overlay"] = draw_subjects(image, frame)
    if "truth" in frame:
        unknown = 1 - frame["known"] if "known" in frame else torch.zeros(())
        drawn["true mask"] = _panel((frame["truth"] + 0.5 * unknown).expand(3, -1, -1))
    return drawn


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
        colours = [subject_colour(position) for position in range(len(masks))]
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
        colours = [subject_colour(position) for position in range(len(boxes))]
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


def to_bytes(image: Tensor) -> Tensor:
    """Round pictures in [0, 1] to bytes; NaN becomes black."""
    return (image.nan_to_num(nan=0.0).clamp(0, 1) * 255).round().to(torch.uint8)


def _panel(image: Tensor) -> Tensor:
    """Bring a picture (3, H, W) in [0, 1] to the panel's size, uint8."""
    height = round(PANEL_WIDTH * image.shape[1] / image.shape[2])
    sized = F.interpolate(image[None], (height, PANEL_WIDTH), mode="bilinear", align_corners=False, antialias=True)
    return to_bytes(sized[0])


def _labelled(image: Tensor, text: str) -> Tensor:
    """Write a line onto a dark ground in the lower left corner of a picture (3, H, W), uint8."""
    picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    bottom = picture.shape[0]
    (width, height), below = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    cv2.rectangle(picture, (0, bottom - height - below - 6), (width + 7, bottom), (0, 0, 0), -1)
    write(picture, text, (4, bottom - below - 2), (255, 255, 255))
    return torch.from_numpy(picture).permute(2, 0, 1)


def write(picture: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write text onto a picture (H, W, 3) in place."""
    cv2.putText(picture, text, place, FONT, FONT_SCALE, colour, 1, cv2.LINE_AA)
