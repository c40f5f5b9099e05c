"""Every label format comes back the same from the readers of its ecosystem, holes and pieces included."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from faster_coco_eval import COCO
from PIL import Image
from torchvision.datasets import VOCSegmentation

from experiments.labels.brush import brush_runs
from experiments.labels.formats import FORMATS
from experiments.labels.frame import LabelledFrame, Subject
from experiments.labels.voc import palette
from tests.experiments.labels.masks import MASKS, SIZE, disc, in_one_piece, write

ANNOTATIONS = Path("annotations/instances_train.json")
WIDTH, HEIGHT = SIZE[1], SIZE[0]


def same(found: dict[str, Any]) -> None:
    """Fail with the names of the masks that differ from those that were written."""
    assert found.keys() == MASKS.keys()
    assert not [name for name, mask in MASKS.items() if not np.array_equal(np.asarray(found[name]) > 0, mask)]


def by_file(found: dict[str, Any]) -> dict[str, Any]:
    """What was read, by the names of the masks instead of those of the files."""
    return dict(zip(MASKS, (found[key] for key in sorted(found)), strict=True))


@pytest.mark.parametrize("name", ["coco", "coco-polygons"])
def test_faster_coco_eval_reads_coco(tmp_path: Path, name: str) -> None:
    data = COCO(write(tmp_path, name) / ANNOTATIONS)
    masks = {data.imgs[found["image_id"]]["file_name"]: data.annToMask(found) for found in data.anns.values()}
    same(by_file(masks))
    assert all((tmp_path / name / "images" / image["file_name"]).is_file() for image in data.imgs.values())


@pytest.mark.parametrize("name", ["coco", "coco-polygons"])
def test_pycocotools_reads_coco(tmp_path: Path, name: str) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    data = pycocotools.COCO(str(write(tmp_path, name) / ANNOTATIONS))
    same(by_file({data.imgs[found["image_id"]]["file_name"]: data.annToMask(found) for found in data.anns.values()}))
    assert [found["name"] for found in data.cats.values()] == ["cat"]
    for found in data.anns.values():
        mask = data.annToMask(found)
        rows, columns = np.nonzero(mask)
        assert found["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert found["area"] == mask.sum() and found["score"] == 0.75 and not found["iscrowd"]


def test_supervision_reads_coco(tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    folder = write(tmp_path, "coco")
    data = supervision.DetectionDataset.from_coco(str(folder / "images"), str(folder / ANNOTATIONS))
    same(by_file({Path(path).name: found.mask[0] for path, found in data.annotations.items()}))


def cut_off(line: str) -> Any:  # noqa: ANN401
    """A polygon as Ultralytics draws it: fractions of a pixel are cut off."""
    points = np.array(line.split()[1:], dtype=np.float32).reshape(-1, 2) * np.array(SIZE[::-1], dtype=np.float32)
    return cv2.fillPoly(np.zeros(SIZE, np.uint8), [points.astype(np.int32)], 1)


def same_but_for_seams(found: dict[str, Any]) -> None:
    """Masks in one piece are the same; the others have gained the seams between their pieces, and lost nothing."""
    for name, mask in MASKS.items():
        read = np.asarray(found[name]) > 0
        assert (read >= mask).all(), name
        assert not in_one_piece(mask) or np.array_equal(read, mask), name
    pieces = np.asarray(found["pieces"]) > 0
    assert MASKS["pieces"].sum() / pieces.sum() > 0.9  # a tiny picture with wide gaps


def test_a_reader_that_cuts_fractions_off_gets_the_masks_of_yolo(tmp_path: Path) -> None:
    folder = write(tmp_path, "yolo-seg")
    texts = {path.name: path.read_text() for path in (folder / "labels" / "train").iterdir()}
    assert all(text.count("\n") == 1 and text.startswith("0 ") for text in texts.values())
    same_but_for_seams(by_file({name: cut_off(text) for name, text in texts.items()}))
    settings = yaml.safe_load((folder / "data.yaml").read_text())
    assert settings["names"] == {0: "cat"} and (folder / settings["train"]).is_dir()


def test_supervision_reads_yolo(tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    folder = write(tmp_path, "yolo-seg")
    images, labels = str(folder / "images" / "train"), str(folder / "labels" / "train")
    data = supervision.DetectionDataset.from_yolo(images, labels, str(folder / "data.yaml"))
    assert data.classes == ["cat"]
    assert all(len(found) == 1 for found in data.annotations.values())
    same_but_for_seams(by_file({Path(path).name: found.mask[0] for path, found in data.annotations.items()}))


def test_the_library_of_label_studio_reads_and_writes_the_same_brush(tmp_path: Path) -> None:
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="label-studio-sdk is not installed")
    tasks = json.loads((write(tmp_path, "label-studio") / "tasks.json").read_text())
    found = {}
    for task in tasks:
        (prediction,) = task["predictions"]
        (result,) = prediction["result"]
        assert (result["original_width"], result["original_height"]) == (WIDTH, HEIGHT) and prediction["score"] == 0.75
        # its own decoder of annotations wants the value's members beside the result's, as its converter hands them on
        (layer,) = brush.decode_from_annotation("mask", [{**result, **result["value"]}]).values()
        found[task["data"]["image"]] = layer
        assert set(np.unique(layer)) <= {0, 255}
        file = task["data"]["image"].removeprefix("/data/local-files/?d=")
        assert (tmp_path / file).is_file()
    same(by_file(found))
    for mask in MASKS.values():
        assert brush_runs(mask) == brush.mask2rle(mask.astype(np.uint8) * 255)


def test_a_brush_is_decoded_by_the_format_itself() -> None:
    """thi.ng/rle-pack: 32 bits of count, 5 of word size, 4 times 4 of length sizes; then runs. Written out by hand."""
    bits = f"{16:032b}" + "00111" + "0010" + "0011" + "0111" + "1111"
    bits += "1" + "00" + f"{8 - 1:03b}" + f"{0:08b}"  # eight values of 0: two pixels of four channels
    bits += "1" + "00" + f"{8 - 1:03b}" + f"{255:08b}"
    bits += "0" * (8 - len(bits) % 8)
    assert brush_runs(np.array([[False, False, True, True]])) == [
        int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)
    ]


def test_the_interface_of_label_studio_is_that_of_the_results(tmp_path: Path) -> None:
    folder = write(tmp_path, "label-studio")
    view = ElementTree.parse(folder / "interface.xml").getroot()
    result = json.loads((folder / "tasks.json").read_text())[0]["predictions"][0]["result"][0]
    brush, image = view.find("BrushLabels"), view.find("Image")
    assert brush is not None and image is not None
    assert (brush.get("name"), brush.get("toName"), image.get("name")) == (
        result["from_name"], result["to_name"], result["to_name"],
    )  # fmt: skip
    assert [label.get("value") for label in brush] == result["value"]["brushlabels"] == ["cat"]


def cvat_masks(file: Path) -> dict[str, Any]:
    """CVAT's masks, by its description: runs of the box, row after row, the first without the subject."""
    found = {}
    for image in ElementTree.parse(file).getroot().iter("image"):
        (mask,) = image.iter("mask")
        left, top, width, height = (int(mask.attrib[key]) for key in ("left", "top", "width", "height"))
        values = [run % 2 for run, count in enumerate(mask.attrib["rle"].split(", ")) for _ in range(int(count))]
        whole = np.zeros((int(image.attrib["height"]), int(image.attrib["width"])), bool)
        whole[top : top + height, left : left + width] = np.reshape(values, (height, width))
        found[image.attrib["name"]] = whole
    return found


def test_cvat_as_its_manual_has_it(tmp_path: Path) -> None:
    same(by_file(cvat_masks(write(tmp_path, "cvat") / "annotations.xml")))


def dataset(folder: Path, kind: str) -> dict[str, Any]:
    """The masks that datumaro, which CVAT is built on, reads: the image's name -> (H, W)."""
    datumaro = pytest.importorskip("datumaro", reason="datumaro is not installed")
    data = datumaro.Dataset.import_from(str(folder), kind)
    found = {}
    for item in data:
        assert item.media.data.shape[:2] == SIZE
        masks = [mark.image for mark in item.annotations if mark.type == datumaro.AnnotationType.mask]
        found[item.id] = np.max(masks, axis=0)
        names = [category.name for category in data.categories()[datumaro.AnnotationType.label]]
        assert {names[mark.label] for mark in item.annotations} == {"cat"}
    return found


def test_datumaro_reads_cvat(tmp_path: Path) -> None:
    same(by_file(dataset(write(tmp_path, "cvat"), "cvat")))


def test_datumaro_reads_voc(tmp_path: Path) -> None:
    same(by_file(dataset(write(tmp_path, "voc") / "VOCdevkit" / "VOC2012", "voc_segmentation")))


def test_datumaro_reads_coco(tmp_path: Path) -> None:
    same(by_file(dataset(write(tmp_path, "coco"), "coco")))


def test_torchvision_reads_voc(tmp_path: Path) -> None:
    data = VOCSegmentation(str(write(tmp_path, "voc")), year="2012", image_set="train")
    assert len(data) == len(MASKS)
    same(dict(zip(MASKS, (np.asarray(mask) for _, mask in data), strict=True)))
    assert all(image.size == (WIDTH, HEIGHT) for image, _ in data)


def test_voc_holds_several_subjects_and_boxes_that_count_from_1(tmp_path: Path) -> None:
    writer = FORMATS["voc"](tmp_path, "cat")
    first, second = disc(30, 40, 10), disc(30, 52, 10)
    writer.add(LabelledFrame(1, "a", ".jpg", SIZE, (Subject(first), Subject(second))))
    writer.close()
    base = tmp_path / "VOCdevkit" / "VOC2012"
    numbers = np.asarray(Image.open(base / "SegmentationObject" / "a.png"))
    assert np.array_equal(numbers == 1, first) and np.array_equal(numbers == 2, second & ~first)
    assert np.array_equal(np.asarray(Image.open(base / "SegmentationClass" / "a.png")) == 1, first | second)
    tree = ElementTree.parse(base / "Annotations" / "a.xml")
    boxes = [[int(side.text or "") for side in box] for box in tree.iter("bndbox")]
    assert boxes == [[31, 21, 51, 41], [43, 21, 63, 41]]


def test_the_colours_are_those_of_pascal_voc() -> None:
    """The first colours of the development kit, as its documentation lists them."""
    assert palette()[:8].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128], [0, 128, 128], [128, 128, 128],
    ]  # fmt: skip
    assert palette()[20].tolist() == [0, 64, 128]


@pytest.mark.parametrize("name", ["coco", "label-studio"])
def test_a_run_without_a_score_has_none_in_its_labels(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, name, score=None)
    file = folder / ANNOTATIONS if name == "coco" else folder / "tasks.json"
    assert "score" not in file.read_text() and json.loads(file.read_text())


def test_no_format_holds_its_frames(tmp_path: Path) -> None:
    """What a writer keeps of a frame is freed with it."""
    for name, kind in FORMATS.items():
        writer = kind(tmp_path / name, "cat")
        subject = Subject(disc(30, 40, 20))
        writer.add(LabelledFrame(1, "a", ".jpg", SIZE, (subject,)))
        assert sys.getrefcount(subject) == 2, name
        writer.close()
