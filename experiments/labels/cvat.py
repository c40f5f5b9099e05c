"""CVAT for images 1.1: one XML file, with masks."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import XMLGenerator

import numpy as np
from numpy.typing import NDArray

from experiments.labels.frame import LabelledFrame, Subject
from experiments.labels.writer import Writer

FILE = "annotations.xml"


class Cvat(Writer):
    """Masks as CVAT's brush draws them.

    ::

        cvat/annotations.xml
             images/CLIP_000000.jpg
    """

    def __init__(self, folder: Path, category: str) -> None:
        super().__init__(folder, category)
        self._file = (folder / FILE).open("w", encoding="utf-8")
        self._xml = XMLGenerator(self._file, "utf-8", short_empty_elements=True)
        self._xml.startDocument()
        self._open("annotations")
        self._text("version", "1.1")
        for name in ("meta", "task", "labels", "label"):
            self._open(name)
        self._text("name", category)
        self._text("type", "mask")
        for name in ("label", "labels", "task", "meta"):
            self._xml.endElement(name)

    def _open(self, tag: str, /, **attributes: str) -> None:
        """Begin an element, on a line of its own."""
        self._xml.ignorableWhitespace("\n")
        self._xml.startElement(tag, attributes)  # type: ignore[arg-type]  # a mapping does

    def _text(self, name: str, text: str) -> None:
        """An element that holds only text."""
        self._open(name)
        self._xml.characters(text)
        self._xml.endElement(name)

    def add(self, frame: LabelledFrame) -> None:
        """Write an image and its masks."""
        height, width = frame.size
        self._open("image", id=str(frame.number - 1), name=frame.file, width=str(width), height=str(height))
        for order, subject in enumerate(reversed(frame.subjects)):  # the surest on top
            self._mask(subject, order)
        self._xml.endElement("image")

    def _mask(self, subject: Subject, order: int) -> None:
        """Write one mask, its runs within its box."""
        left, top, right, bottom = subject.corners
        where = {"left": left, "top": top, "width": right - left, "height": bottom - top, "z_order": order}
        runs = ", ".join(map(str, row_runs(subject.inside)))
        numbers = {name: str(value) for name, value in where.items()}
        self._open("mask", label=self.category, source="auto", occluded="0", rle=runs, **numbers)
        self._xml.endElement("mask")

    def close(self) -> None:
        """End the document."""
        self._xml.ignorableWhitespace("\n")
        self._xml.endElement("annotations")
        self._xml.endDocument()
        self._file.close()


def row_runs(mask: NDArray[np.bool_]) -> list[int]:
    """Run lengths of a mask, row after row: without and with the subject in turn, the first without.

    Args:
        mask: Bool, (H, W), not empty.
    """
    flat = np.concatenate([[False], mask.ravel()])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    runs: list[int] = np.diff(changes, prepend=0, append=mask.size).tolist()
    return runs
