"""The label formats by the names that a user gives."""

from __future__ import annotations

from backdrop.errors import UsageError
from experiments.labels.coco import Coco, CocoPolygons
from experiments.labels.cvat import Cvat
from experiments.labels.label_studio import LabelStudio
from experiments.labels.voc import Voc
from experiments.labels.writer import Writer
from experiments.labels.yolo import Yolo

FORMATS: dict[str, type[Writer]] = {
    "coco": Coco,
    "coco-polygons": CocoPolygons,
    "yolo-seg": Yolo,
    "label-studio": LabelStudio,
    "cvat": Cvat,
    "voc": Voc,
}
"""Each has a folder of its name."""


def formats(names: str) -> list[str]:
    """The formats that a user asks for.

    Args:
        names: Their names, with commas in between.

    Raises:
        UsageError: If one of them is none, or there is none.
    """
    found = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    unknown = [name for name in found if name not in FORMATS]
    if unknown or not found:
        what = f"{unknown[0]} is no label format" if unknown else "No label format is given"
        raise UsageError(f"{what}: choose of {', '.join(FORMATS)}, with commas in between.")
    return found
