"""Pascal VOC: masks as PNG images with a palette, and boxes as XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.labels.frame import LabelledFrame, Subject
from experiments.labels.writer import Writer

BASE = "VOCdevkit/VOC2012"
_LIST = f"{BASE}/ImageSets/Segmentation/train.txt"
_BY_CATEGORY, _BY_OBJECT = f"{BASE}/SegmentationClass", f"{BASE}/SegmentationObject"


class Voc(Writer):
    """The layout of the development kit.

    ::

        voc/VOCdevkit/VOC2012/JPEGImages/CLIP_000000.jpg
                              SegmentationClass/CLIP_000000.png     1 in the mask, 0 elsewhere
                              SegmentationObject/CLIP_000000.png    the number of the subject, the surest is 1
                              Annotations/CLIP_000000.xml           boxes
                              ImageSets/Segmentation/train.txt      names of all frames
                              labelmap.txt                          categories and colours, as CVAT wants it

    Where subjects overlap, the pixel is the surest one's.
    """

    pictures = f"{BASE}/JPEGImages"

    def __init__(self, folder: Path, category: str) -> None:
        super().__init__(folder, category)
        for name in (_BY_CATEGORY, _BY_OBJECT, f"{BASE}/Annotations", f"{BASE}/ImageSets/Segmentation"):
            (folder / name).mkdir(parents=True)
        first = ",".join(map(str, palette()[1].tolist()))
        lines = f"# label:color_rgb:parts:actions\nbackground:0,0,0::\n{category}:{first}::\n"
        (folder / BASE / "labelmap.txt").write_text(lines, encoding="utf-8")
        self._names = (folder / _LIST).open("w", encoding="utf-8")

    def add(self, frame: LabelledFrame) -> None:
        """Write both masks and the boxes of an image."""
        numbers = np.zeros(frame.size, dtype=np.uint8)
        for number, subject in reversed(list(enumerate(frame.subjects, start=1))):
            numbers[subject.mask] = number
        for place, values in ((_BY_CATEGORY, (numbers > 0).astype(np.uint8)), (_BY_OBJECT, numbers)):
            picture = Image.fromarray(values)
            picture.putpalette(palette().tobytes())
            picture.save(self.folder / place / f"{frame.name}.png")
        tree = ElementTree.ElementTree(self._boxes(frame))
        ElementTree.indent(tree)
        tree.write(self.folder / BASE / "Annotations" / f"{frame.name}.xml", encoding="utf-8")
        self._names.write(f"{frame.name}\n")

    def _boxes(self, frame: LabelledFrame) -> Element:
        """The XML of an image."""
        root = Element("annotation")
        _texts(root, folder="VOC2012", filename=frame.file)
        _texts(SubElement(root, "source"), database="made by Backdrop")
        _texts(SubElement(root, "size"), width=frame.size[1], height=frame.size[0], depth=3)
        _texts(root, segmented=1)
        for subject in frame.subjects:
            self._box(root, frame, subject)
        return root

    def _box(self, root: Element, frame: LabelledFrame, subject: Subject) -> None:
        """Add one box: first and last pixel, counted from 1."""
        left, top, right, bottom = subject.corners
        cut = left == 0 or top == 0 or right == frame.size[1] or bottom == frame.size[0]
        found = SubElement(root, "object")
        _texts(found, name=self.category, pose="Unspecified", truncated=int(cut), difficult=0)
        _texts(SubElement(found, "bndbox"), xmin=left + 1, ymin=top + 1, xmax=right, ymax=bottom)

    def close(self) -> None:
        """End the list of names."""
        self._names.close()


def _texts(parent: Element, **values: str | int) -> None:
    """Add elements that hold only text."""
    for name, value in values.items():
        SubElement(parent, name).text = str(value)


def palette() -> NDArray[np.uint8]:
    """The colours of Pascal VOC: the bits of a number, dealt out to red, green and blue, from the highest bit on.

    Returns:
        RGB, (256, 3).
    """
    numbers, colours = np.arange(256), np.zeros((256, 3), dtype=np.int64)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (numbers >> (3 * bit + channel) & 1) << (7 - bit)
    return colours.astype(np.uint8)
