#!/usr/bin/env bash
# scikit-image 0.26.0, scipy 1.17.1, numpy 2.3.5.
#
# Behaviour: `isotropic_opening`, which removes specks from a mask, leaves an object that was not there in the upper left
# corner of each mask from which nothing remains; `isotropic_dilation` puts it into an empty mask, larger with the radius.
# So a frame without a subject gets one. They compare distances to the nearest object, and scipy gives, where there is none,
# those to a place above the first pixel (scipy_distance_to_nothing.sh). The other end is alike: `isotropic_erosion` takes
# that corner off a mask that fills the image, and only that one.
# Expected: an empty mask, as `opening` and `dilation` give, which the documentation calls slower, not other.
# Reported upstream: not found; for scipy's function see the other finding.
#
# Output seen (radius 5, of 20x30 pixels):
#   a speck of 2 pixels: opening leaves 0, isotropic_opening 20, from row 0 and column 0 on
#   an empty mask:       dilation gives 0, isotropic_dilation 20
#   a full mask:         erosion keeps 600, isotropic_erosion 580
#
# Backdrop removes specks by OpenCV's opening.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-image==0.26.0 scipy==1.17.1 numpy==2.3.5

cat > "$folder/show.py" <<'PYTHON'
import numpy as np
from skimage import morphology

RADIUS = 5
disc = morphology.disk(RADIUS)
empty = np.zeros((20, 30), bool)
full = ~empty
speck = empty.copy()
speck[10, 10:12] = True

left = morphology.isotropic_opening(speck, RADIUS)
opened = morphology.opening(speck, disc).sum(), left.sum()
dilated = morphology.dilation(empty, disc).sum(), morphology.isotropic_dilation(empty, RADIUS).sum()
eroded = morphology.erosion(full, disc).sum(), morphology.isotropic_erosion(full, RADIUS).sum()
rows, columns = np.nonzero(left)
place = f"from row {rows.min()} and column {columns.min()} on" if len(rows) else "nowhere"
print("a speck of 2 pixels: opening leaves %d, isotropic_opening %d," % opened, place)
print("an empty mask:       dilation gives %d, isotropic_dilation %d" % dilated)
print("a full mask:         erosion keeps %d, isotropic_erosion %d" % eroded)
assert opened[0] == 0 and dilated[0] == 0 and eroded[0] == full.size, "the other functions should be right"
assert opened[1] > 0 and not (left & speck).any(), "changed: the opening of a speck is empty"
assert dilated[1] > 0 and eroded[1] < full.size, "changed: an empty mask stays empty, or a full one full"
PYTHON
cd "$folder" && venv/bin/python show.py
