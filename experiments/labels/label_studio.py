"""Label Studio: one JSON file of tasks, with the masks as predictions of the brush."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from experiments.labels.brush import brush_runs
from experiments.labels.frame import LabelledFrame, Subject
from experiments.labels.writer import Writer

TASKS, INTERFACE = "tasks.json", "interface.xml"
_BRUSH, _IMAGE = "mask", "image"  # the names of both tags in the interface


class LabelStudio(Writer):
    """Tasks with predictions, which a person confirms or mends.

    ::

        label-studio/tasks.json
                     interface.xml       the labelling interface that the tasks fit
                     images/CLIP_000000.jpg
    """

    def __init__(self, folder: Path, category: str) -> None:
        super().__init__(folder, category)
        (folder / INTERFACE).write_text(
            f'<View>\n  <Image name="{_IMAGE}" value="${_IMAGE}" zoom="true"/>\n'
            f'  <BrushLabels name="{_BRUSH}" toName="{_IMAGE}">\n    <Label value={quoteattr(category)}/>\n'
            "  </BrushLabels>\n</View>\n",
            encoding="utf-8",
        )
        self._tasks = (folder / TASKS).open("w", encoding="utf-8")
        self._tasks.write("[")

    def add(self, frame: LabelledFrame) -> None:
        """Write a task."""
        results = [self._result(frame, number, subject) for number, subject in enumerate(frame.subjects, start=1)]
        prediction: dict[str, Any] = {"model_version": "backdrop", "result": results}
        if (score := frame.subjects[0].score) is not None:
            prediction["score"] = round(score, 4)
        file = f"{self.folder.name}/{self.pictures}/{frame.file}"
        task = {"data": {_IMAGE: f"/data/local-files/?d={file}"}, "predictions": [prediction]}
        self._tasks.write((",\n" if frame.number > 1 else "\n") + json.dumps(task))

    def _result(self, frame: LabelledFrame, number: int, subject: Subject) -> dict[str, Any]:
        """The mask of one subject, as JSON has it."""
        height, width = frame.size
        result: dict[str, Any] = {
            "id": f"{frame.number}_{number}",
            "type": "brushlabels",
            "from_name": _BRUSH,
            "to_name": _IMAGE,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {"format": "rle", "rle": brush_runs(subject.mask), "brushlabels": [self.category]},
        }
        return result if subject.score is None else result | {"score": round(subject.score, 4)}

    def close(self) -> None:
        """End the list."""
        self._tasks.write("\n]\n")
        self._tasks.close()
