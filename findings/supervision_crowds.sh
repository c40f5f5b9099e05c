#!/usr/bin/env bash
# supervision 0.31.2, pycocotools 2.0.11.
#
# Behaviour: `DetectionDataset.as_coco` writes an object whose mask has a hole, or two pieces, with "iscrowd": 1. A crowd is
# a region of several objects that nobody told apart: COCO's evaluation ignores it, and trainers (torchvision's references,
# Detectron2, Ultralytics) leave it out. So one object behind a pole, or an arm on a hip, is gone from the training without a
# word. With "iscrowd": 0 forced through Detections.data, its holes are written as polygons of their own, and every reader
# that draws COCO's polygons fills them.
# Its page says that such masks are saved as run lengths, not that they become crowds.
# Expected: "iscrowd": 0 with run lengths, which COCO allows and which keep the mask.
#
# Output seen:
#   disc: iscrowd 0
#   ring: iscrowd 1
#   two pieces: iscrowd 1
#   ring, iscrowd 0 forced: 268 pixels came back as 288
#
# Backdrop writes COCO itself: run lengths, "iscrowd": 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check supervision==0.31.2 pycocotools==2.0.11 numpy==2.3.5

cat > "$folder/show.py" <<'PYTHON'
import json
import warnings

import numpy as np

warnings.simplefilter("ignore")  # OpenCV is not needed
import supervision
from pycocotools.coco import COCO

y, x = np.mgrid[:40, :60]
disc = (y - 20) ** 2 + (x - 20) ** 2 <= 100
ring = disc & ((y - 20) ** 2 + (x - 20) ** 2 > 16)
pieces = disc | ((y - 20) ** 2 + (x - 50) ** 2 <= 25)


def written(mask: np.ndarray, data: dict[str, np.ndarray]) -> tuple[int, np.ndarray]:
    box = supervision.mask_to_xyxy(mask[None]).astype(float)
    found = supervision.Detections(xyxy=box, mask=mask[None], class_id=np.array([0]), data=data)
    images = {"a.png": np.zeros((40, 60, 3), np.uint8)}
    dataset = supervision.DetectionDataset(classes=["cat"], images=images, annotations={"a.png": found})
    dataset.as_coco(annotations_path="coco.json")
    (annotation,) = json.load(open("coco.json"))["annotations"]
    coco = COCO("coco.json")
    return annotation["iscrowd"], coco.annToMask(coco.anns[annotation["id"]])


seen = {name: written(mask, {})[0] for name, mask in (("disc", disc), ("ring", ring), ("two pieces", pieces))}
for name, crowd in seen.items():
    print(f"{name}: iscrowd {crowd}")
crowd, back = written(ring, {"iscrowd": np.array([0])})
print(f"ring, iscrowd {crowd} forced: {ring.sum()} pixels came back as {back.sum()}")
assert seen == {"disc": 0, "ring": 1, "two pieces": 1}, "changed: other masks are crowds"
assert crowd == 0 and not np.array_equal(back, ring) and back[20, 20], "changed: the hole is kept"
PYTHON
cd "$folder" && venv/bin/python show.py
