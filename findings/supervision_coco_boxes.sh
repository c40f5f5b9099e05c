#!/usr/bin/env bash
# supervision 0.31.2, pycocotools 2.0.11, numpy 2.3.5.
#
# Behaviour: the boxes that supervision makes of masks (`mask_to_xyxy`) end at the index of the last pixel, and `as_coco`
# writes the difference of the sides as width and height. So in the file each box is a pixel too narrow and too low for its
# own mask: 9x9 beside an area of 100, and 0 wide for an object of one column, which trainers refuse or leave out. Exact
# detections of small objects then miss COCO's upper thresholds. `Detections.box_area` counts such a box a pixel short, too.
# Expected: COCO's width and height, those that pycocotools has for the same mask.
# Reported upstream: that the last index is meant, in the review of roboflow/supervision pull request 2159; not the file.
#
# Output seen:
#   mask of 10x10 pixels: written 9x9, pycocotools 10x10
#   mask of 1x3 pixels:   written 0x2, pycocotools 1x3
#   AP of boxes that are exact, measured with that file: 0.35
#
# Backdrop writes COCO itself; the boxes are those of pycocotools.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check supervision==0.31.2 pycocotools==2.0.11 numpy==2.3.5

cat > "$folder/show.py" <<'PYTHON'
import contextlib
import io
import json
import warnings

import numpy as np

warnings.simplefilter("ignore")  # OpenCV is not needed
import supervision
from pycocotools import mask as runs
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

masks = np.zeros((2, 40, 60), bool)
masks[0, 5:15, 10:20] = True
masks[1, 25:28, 40] = True
found = supervision.Detections(
    xyxy=supervision.mask_to_xyxy(masks).astype(float), mask=masks, class_id=np.zeros(2, int)
)
images = {"a.png": np.zeros((40, 60, 3), np.uint8)}
with contextlib.redirect_stderr(io.StringIO()):  # what it will drop in another version
    dataset = supervision.DetectionDataset(classes=["cat"], images=images, annotations={"a.png": found})
    dataset.as_coco(annotations_path="coco.json")
written = [annotation["bbox"] for annotation in json.load(open("coco.json"))["annotations"]]
exact = [runs.toBbox(runs.encode(np.asfortranarray(mask.astype(np.uint8)))).tolist() for mask in masks]
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO("coco.json")
    results = [{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9} for box in exact]
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
for name, wrong, right in zip(("mask of 10x10 pixels:", "mask of 1x3 pixels:  "), written, exact):
    print(name, "written %dx%d, pycocotools %dx%d" % (*wrong[2:], *right[2:]))
print(f"AP of boxes that are exact, measured with that file: {evaluation.stats[0]:.2f}")
assert [box[2:] for box in exact] == [[10, 10], [1, 3]], "pycocotools should count pixels"
assert [box[2:] for box in written] == [[9, 9], [0, 2]], "changed: the boxes are those of the masks"
assert evaluation.stats[0] < 0.5, "changed: exact boxes score well"
PYTHON
cd "$folder" && venv/bin/python show.py
