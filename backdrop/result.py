"""What a model finds in one frame: masks, boxes and a score, and pictures and annotations made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backdrop.drawing import draw, span
from backdrop.errors import RunError
from backdrop.found import Found, Pixels, union
from backdrop.shapes import Polygon, coco_runs, polygons

if TYPE_CHECKING:
    from PIL.Image import Image

Corners = tuple[float, float, float, float]


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """What a model finds in one frame.

    ::

        result = model("frame.jpg")
        if result.found:
            result.cutout().save("cat.png")

    Attributes:
        image: The frame, RGB, uint8, (H, W, 3), upright.
        subjects: What the model says of each subject, the surest first, one at least; also of those that are none
            (:attr:`~backdrop.found.Found.found`), which no property or picture below takes into account.
        name: Name of the image or video; empty for an array.
        number: Frame number: the place in its video, counted from 0; of images the place in the list that was given.
        time: When the frame is shown, in seconds on the clock of its video; None for images.
        tracks: A number for each subject that stays with it from frame to frame; None where nothing follows them.
        threshold: Mask values from here on count as subject.
    """

    image: Pixels
    subjects: tuple[Found, ...]
    name: str = ""
    number: int = 0
    time: float | None = None
    tracks: tuple[int, ...] | None = None
    threshold: float = 0.5

    def __repr__(self) -> str:
        """What a person at a prompt asks first: whether there is a subject, how sure, where."""
        score = "None" if self.score is None else f"{self.score:.3f}"
        box = None if self.box is None else tuple(round(side, 1) for side in self.box)
        return f"Result(name={self.name!r}, number={self.number}, found={self.found}, score={score}, box={box})"

    @property
    def kept(self) -> tuple[Found, ...]:
        """The subjects that are some, the surest first."""
        return tuple(subject for subject in self.subjects if subject.found)

    @property
    def found(self) -> bool:
        """Whether there is a subject: whether the score is 0.5 or more; always, where the run was not calibrated."""
        return bool(self.kept)

    @property
    def score(self) -> float | None:
        """How sure the model is of its surest subject, in [0, 1]; None where the run was not calibrated."""
        scores = [subject.score for subject in self.subjects if subject.score is not None]
        return max(scores, default=None)

    @property
    def confidence(self) -> float:
        """Probability of the surest box's cell, in [0, 1]."""
        return self.subjects[0].confidence

    @cached_property
    def mask(self) -> NDArray[np.float32]:
        """The soft mask of all subjects, (H, W), in [0, 1]; all 0 where there is none."""
        kept = self.kept
        if len(kept) == 1:
            return kept[0].mask
        return union(kept) if kept else np.zeros(self.image.shape[:2], dtype=np.float32)

    @cached_property
    def binary(self) -> NDArray[np.bool_]:
        """The mask at the threshold, (H, W); all False where there is no subject."""
        return self.mask >= self.threshold

    @property
    def box(self) -> Corners | None:
        """(x0, y0, x1, y1) of the surest subject in pixels of the frame, on pixel edges; None where there is none."""
        return self.kept[0].box if self.found else None

    @property
    def track(self) -> int | None:
        """The number of the surest subject, that stays with it; None where there is none, or nothing follows it."""
        if self.tracks is None:
            return None
        pairs = zip(self.subjects, self.tracks, strict=True)
        return next((track for subject, track in pairs if subject.found), None)

    def apart(self) -> list[Result]:
        """A result for each subject that is one, of the same frame: none where nothing was found."""
        if len(self.subjects) == 1:  # whose masks need not be computed again
            return [self] if self.found else []
        tracks = [None] * len(self.subjects) if self.tracks is None else [(track,) for track in self.tracks]
        return [
            Result(self.image, (subject,), self.name, self.number, self.time, track, self.threshold)
            for subject, track in zip(self.subjects, tracks, strict=True)
            if subject.found
        ]

    def overlay(self) -> Pixels:
        """The frame with its subjects tinted, their outlines and boxes: RGB, uint8, (H, W, 3)."""
        colours = None if self.tracks is None else [track - 1 for track in self.tracks]
        return draw(self.image, self.subjects, self.threshold, colours)

    @cached_property
    def alpha(self) -> Pixels:
        """The soft mask in bytes, uint8, (H, W), 0 to 255."""
        return (self.mask * 255).round().astype(np.uint8)

    def rgba(self) -> Pixels:
        """The frame with the soft mask as its alpha: uint8, (H, W, 4); black where nothing of the subject is."""
        return np.dstack([self.image * (self.alpha > 0)[..., None], self.alpha])

    def plot(self) -> Image:
        """The overlay as a PIL image, RGB.

        Raises:
            RunError: If Pillow is not installed.
        """
        return _picture(self.overlay(), "overlay")

    def cutout(self) -> Image:
        """The subject cut out, as a PIL image, RGBA, whose alpha is the soft mask.

        Raises:
            RunError: If Pillow is not installed.
        """
        return _picture(self.rgba(), "rgba")

    def polygons(self) -> list[Polygon]:
        """The outline of the mask: outer rings with their holes, exact to the pixel.

        Returns:
            A :class:`~backdrop.shapes.Polygon` for each piece, the largest first; none where there is no subject.
        """
        return polygons(self.binary)

    def to_coco(self, image_id: int = 0, category_id: int = 1, annotation_id: int = 1) -> dict[str, Any] | None:
        """The mask as an annotation of COCO, with its run lengths compressed, as pycocotools reads it.

        Args:
            image_id: Number of the image.
            category_id: Number of the category.
            annotation_id: Number of the annotation.

        Returns:
            What JSON can hold; its box and area are those of the mask. None where there is no subject.
        """
        mask = self.binary
        if (where := span(mask)) is None:
            return None
        rows, columns = where
        annotation: dict[str, Any] = {
            "id": annotation_id,
            "image_id": image_id,
            "category_id": category_id,
            "segmentation": {"size": list(mask.shape), "counts": coco_runs(mask)},
            "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
            "area": int(mask.sum()),
            "iscrowd": 0,
        }
        return annotation if self.score is None else annotation | {"score": self.score}


def _picture(pixels: Pixels, instead: str) -> Image:
    """Pixels as a PIL image."""
    try:
        from PIL import Image
    except ImportError:
        raise RunError(f"Pillow makes the picture: pip install pillow, or take the array, .{instead}().") from None
    return Image.fromarray(pixels)
