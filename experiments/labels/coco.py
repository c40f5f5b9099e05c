"""COCO: one JSON file of all images and annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backdrop.shapes import coco_runs, polygons
from experiments.labels.frame import LabelledFrame, Subject
from experiments.labels.seams import joined
from experiments.labels.writer import Writer

FILE = "annotations/instances_train.json"


class Coco(Writer):
    """COCO with run lengths, which hold every mask.

    ::

        coco/annotations/instances_train.json
             images/CLIP_000000.jpg
    """

    def __init__(self, folder: Path, category: str) -> None:
        super().__init__(folder, category)
        (folder / FILE).parent.mkdir()
        self._images = (folder / FILE).open("w", encoding="utf-8")
        self._annotations = (folder / f"{FILE}.part").open("w+", encoding="utf-8")
        head = {"info": {"description": "made by Backdrop"}, "licenses": [], "categories": [_category(category)]}
        self._images.write(json.dumps(head)[:-1] + ', "images": [')
        self._count = 0

    def add(self, frame: LabelledFrame) -> None:
        """Write an image and its annotations."""
        height, width = frame.size
        image = {"id": frame.number, "file_name": frame.file, "height": height, "width": width}
        self._images.write((",\n" if frame.number > 1 else "\n") + json.dumps(image))
        for subject in frame.subjects:
            self._annotations.write((",\n" if self._count else "\n") + json.dumps(self._annotation(frame, subject)))

    def _annotation(self, frame: LabelledFrame, subject: Subject) -> dict[str, Any]:
        """One annotation, as JSON has it."""
        self._count += 1
        left, top, right, bottom = subject.corners
        found = {
            "id": self._count,
            "image_id": frame.number,
            "category_id": 1,
            "segmentation": self.segmentation(subject),
            "bbox": [left, top, right - left, bottom - top],
            "area": int(subject.mask.sum()),
            "iscrowd": 0,
        }
        return found if subject.score is None else found | {"score": round(subject.score, 4)}

    def segmentation(self, subject: Subject) -> Any:  # noqa: ANN401
        """The mask as JSON has it.

        Args:
            subject: Whose.
        """
        return {"size": list(subject.mask.shape), "counts": coco_runs(subject.mask)}

    def close(self) -> None:
        """Put both lists into one file."""
        self._images.write('\n], "annotations": [')
        self._annotations.seek(0)
        for line in self._annotations:
            self._images.write(line)
        self._images.write("\n]}\n")
        self._images.close()
        self._annotations.close()
        (self.folder / f"{FILE}.part").unlink()


class CocoPolygons(Coco):
    """COCO with polygons: one for each piece, whose holes are joined to its border by seams.

    Corners lie on the edges of pixels, as pycocotools draws them.
    """

    def segmentation(self, subject: Subject) -> Any:  # noqa: ANN401
        """The mask as JSON has it.

        Args:
            subject: Whose.
        """
        return [joined([piece.outer, *piece.holes]).ravel().tolist() for piece in polygons(subject.mask)]


def _category(name: str) -> dict[str, Any]:
    """The only category, as JSON has it."""
    return {"id": 1, "name": name, "supercategory": ""}
