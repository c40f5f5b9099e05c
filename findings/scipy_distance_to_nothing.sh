#!/usr/bin/env bash
# scipy 1.17.1, numpy 2.3.5.
#
# Behaviour: `scipy.ndimage.distance_transform_edt` gives each pixel its distance to the nearest pixel that is 0. Of a mask
# without one it gives the distance to the place one row above the image's first pixel, without a word. So the distance of
# a contour to an empty mask, as surface distances, Hausdorff distance and boundary F take it (of the inverse of the mask),
# is a small, plausible number; and it changes where the image is flipped. `distance_transform_cdt` gives -1 instead.
# Expected: infinity, NaN or an error; nothing in its documentation covers the case.
# Reported upstream: scipy/scipy issues 1616 and 15585, pull request 25528 (open in June 2026).
#
# Output seen (mean distance of a predicted object at the top left to a true mask that is empty, of 100x100 pixels):
#   object at the top left:     8.8
#   the same at the lower right: 133.0
#   a true object 60 pixels away: 60.0
#
# Backdrop takes no distances: its boundary F widens contours, and is 0 where one of the two masks has none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.3.5

cat > "$folder/show.py" <<'PYTHON'
import numpy as np
from scipy.ndimage import distance_transform_edt

found = np.zeros((100, 100), bool)
found[2:10, 2:10] = True  # what was predicted
empty = np.zeros_like(found)
away = np.zeros_like(found)
away[2:10, 69] = True  # 60 pixels to the right of the prediction's last column


def distance(predicted: np.ndarray, true: np.ndarray) -> float:
    return round(float(distance_transform_edt(~true)[predicted].mean()), 1)


top, bottom = distance(found, empty), distance(found[::-1, ::-1], empty)
last = np.zeros_like(found)
last[2:10, 9] = True
known = distance(last, away)
print(f"object at the top left:     {top}")
print(f"the same at the lower right: {bottom}")
print(f"a true object 60 pixels away: {known}")
place = distance_transform_edt(np.ones((5, 7)), return_distances=False, return_indices=True)
assert known == 60, "a distance to an object should be right"
assert (place[0] == -1).all() and (place[1] == 0).all(), "changed: the nearest 0 is not at row -1, column 0"
assert 0 < top < bottom < np.inf, "changed: the distance to nothing"
PYTHON
cd "$folder" && venv/bin/python show.py
