#!/usr/bin/env bash
# pycocotools 2.0.11, numpy 2.3.5; faster-coco-eval 1.8.0 counts alike, and warns.
#
# Behaviour: detections that equal the annotations score an AP of 0.25 instead of 1 where the annotations are numbered from
# 0. The evaluation notes for each detection the id of the annotation that it found, and 0 where it found none, so that the
# annotation with id 0 counts as missed and the detection on it as a false alarm. The ids of images and of categories may be
# 0; those of annotations are only called unique in COCO's description of its format.
# Expected: 1 whatever the ids are, or an error.
# Reported upstream: cocodataset/cocoapi issue 664, pytorch/vision issue 1530.
#
# Output seen (two images with a cat each, detections equal to the annotations):
#   annotations from 1: AP 1.00, AP50 1.00, AR 1.00
#   annotations from 0: AP 0.25, AP50 0.25, AR 0.50
#
# Backdrop numbers the annotations that it writes from 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.3.5

cat > "$folder/show.py" <<'PYTHON'
import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

BOX = [10, 10, 40, 40]


def scores(first: int) -> tuple[float, float, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": image, "width": 100, "height": 100} for image in (0, 1)],
            "categories": [{"id": 0, "name": "cat"}],
            "annotations": [
                {"id": first + image, "image_id": image, "category_id": 0, "bbox": BOX, "area": 1600, "iscrowd": 0}
                for image in (0, 1)
            ],
        }
        truth.createIndex()
        found = [{"image_id": image, "category_id": 0, "bbox": BOX, "score": 0.9 - 0.1 * image} for image in (0, 1)]
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return tuple(round(float(evaluation.stats[place]), 2) for place in (0, 1, 8))


seen = {first: scores(first) for first in (1, 0)}
for first, values in seen.items():
    print(f"annotations from {first}: AP %.2f, AP50 %.2f, AR %.2f" % values)
assert seen[1] == (1, 1, 1), "detections that equal the annotations should score 1"
assert seen[0] == (0.25, 0.25, 0.5), "changed: the annotation with id 0 counts"
PYTHON
cd "$folder" && venv/bin/python show.py
