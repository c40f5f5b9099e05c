"""YOLO segmentation, as Ultralytics trains on it: one text file for each image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from experiments.labels.frame import LabelledFrame
from experiments.labels.seams import Ring, joined, without_straight
from experiments.labels.writer import Writer

CONFIG = "data.yaml"
FEWEST = 3
"""Points of a polygon, at least: with fewer numbers a line is a box."""

_INSIDE = 0.25  # of a pixel: the same one, whether a reader cuts the fraction off or rounds it


class Yolo(Writer):
    """One line for each subject: its category, and one polygon.

    ::

        yolo-seg/data.yaml
                 images/train/CLIP_000000.jpg
                 labels/train/CLIP_000000.txt

    Several pieces are joined by seams, as Ultralytics does when it reads COCO. A seam between pieces is one pixel wide
    where a reader draws the border of a polygon too.
    """

    pictures = "images/train"

    def __init__(self, folder: Path, category: str) -> None:
        super().__init__(folder, category)
        (folder / "labels" / "train").mkdir(parents=True)
        settings = {"train": self.pictures, "val": self.pictures, "names": {0: category}}
        about = "# val are the same frames: hold some back whose labels a person has looked at.\n"
        text = about + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        (folder / CONFIG).write_text(text, encoding="utf-8")

    def add(self, frame: LabelledFrame) -> None:
        """Write the text file of an image."""
        scale = np.array(frame.size[::-1])
        lines = [f"0 {_numbers((outline(subject.mask) + _INSIDE) / scale)}\n" for subject in frame.subjects]
        (self.folder / "labels" / "train" / f"{frame.name}.txt").write_text("".join(lines), encoding="utf-8")


def outline(mask: NDArray[np.bool_]) -> Ring:
    """One closed line around a mask, along the pixels of its border.

    Args:
        mask: Bool, (H, W), not empty.

    Returns:
        (x, y) of pixels, (N, 2), three at least.
    """
    borders, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    ring = without_straight(joined([np.asarray(border[:, 0], dtype=np.int64) for border in borders]))
    return ring if len(ring) >= FEWEST else np.resize(ring, (FEWEST, 2))


def _numbers(points: NDArray[np.float64]) -> str:
    """Points, (N, 2), as a line of text."""
    return " ".join(f"{value:.6f}" for value in points.ravel())
