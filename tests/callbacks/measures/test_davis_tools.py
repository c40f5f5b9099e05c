"""J and boundary F against tools that others publish DAVIS figures with.

``davisinteractive`` 1.0.4 is by the organisers of DAVIS, ``vos-benchmark`` 0.1.0 gives the figures of DAVIS-2017. The
table holds what both gave (the second says nothing where both masks are empty), with OpenCV 5.0 and scikit-image 0.26.
The slow test asks the tools themselves; they want a place of their own, such as::

    pip install --no-deps --no-build-isolation --target TOOLS davisinteractive==1.0.4 vos-benchmark==0.1.0 \
        scikit-image lazy_loader tqdm
    PYTHONPATH=TOOLS make test-full ARGS="tests/callbacks/measures/test_davis_tools.py"
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from callbacks.scores.segmentation import SegmentationScores
from datamodules.readers import list_images

Masks = NDArray[np.bool_]
Measures = tuple[NDArray[np.float64], NDArray[np.float64]]
Edges = tuple[int, int, int, int]
SIZE = (100, 160)  # a diagonal of 188.7, so boundaries may be 2 pixels apart
DAVIS = Path(__file__).resolve().parents[4] / "shared" / "davis" / "Annotations" / "480p"

# Rows from, to, columns from, to: the truth, what was found, its J and its boundary F.
TABLE = [
    ((20, 70, 40, 110), (20, 70, 40, 110), 1.0, 1.0),
    ((20, 70, 40, 110), (23, 73, 45, 115), 0.7743979721166033, 0.041666666666666664),
    ((20, 70, 40, 110), (22, 68, 42, 108), 0.8674285714285714, 0.9743589743589743),
    ((20, 70, 40, 110), (19, 71, 38, 114), 0.8856275303643725, 0.7864678139996691),
    ((20, 70, 40, 110), (40, 50, 60, 61), 0.002857142857142857, 0.0),
    ((20, 70, 40, 110), (0, 100, 0, 160), 0.21875, 0.0),
    ((20, 70, 40, 110), (0, 0, 0, 0), 0.0, 0.0),
    ((20, 70, 40, 110), (45, 70, 75, 110), 0.25, 0.36111111111111105),
    ((0, 50, 0, 60), (0, 53, 0, 59), 0.9285489455461127, 0.4771881222404986),
    ((60, 100, 90, 160), (64, 100, 92, 160), 0.8742857142857143, 0.34259259259259256),
    ((0, 0, 0, 0), (0, 0, 0, 0), 1.0, 1.0),
    ((0, 0, 0, 0), (10, 12, 10, 12), 0.0, 0.0),
]


def rectangle(top: int, bottom: int, left: int, right: int) -> Masks:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def ours(truth: Masks, found: Masks) -> Measures:
    """J and boundary F of every frame of a clip."""
    scores = SegmentationScores(grid_step=0.5, ranking=False)
    for number, (true, mask) in enumerate(zip(truth, found, strict=True)):
        as_batch = torch.from_numpy(np.stack([mask, true])[:, None, None])
        scores.update(
            as_batch[0].float(), as_batch[1], torch.zeros(1, 4), torch.ones(1), ["clip"], torch.tensor([number])
        )
    rows = scores.frames()
    return np.array([row["j"] for row in rows]), np.array([row["boundary_f"] for row in rows])


@pytest.mark.parametrize(("true", "found", "j", "boundary_f"), TABLE)
def test_values_of_the_tools_on_rectangles(true: Edges, found: Edges, j: float, boundary_f: float) -> None:
    values = ours(rectangle(*true)[None], rectangle(*found)[None])
    assert [float(value[0]) for value in values] == pytest.approx([j, boundary_f], abs=1e-12)


def davisinteractive(truth: Masks, found: Masks) -> Measures:
    """J and boundary F of every frame by the tool of the organisers."""
    metrics = pytest.importorskip("davisinteractive.metrics", reason="davisinteractive is not installed")
    return (
        metrics.batched_jaccard(truth, found, nb_objects=1),
        metrics.batched_f_measure(truth, found, nb_objects=1),
    )


def vos_benchmark(truth: Masks, found: Masks) -> Measures:
    """J and boundary F of every frame by vos-benchmark."""
    evaluator = pytest.importorskip("vos_benchmark.evaluator", reason="vos-benchmark is not installed").Evaluator()
    for true, mask in zip(truth, found, strict=True):
        evaluator.feed_frame(mask.astype(np.uint8), true.astype(np.uint8))
    return np.array(evaluator.object_iou[1]), np.array(evaluator.boundary_f[1])


def annotations() -> Masks:
    """Every third mask of a clip of DAVIS."""
    if not DAVIS.is_dir():
        pytest.skip(f"no masks of DAVIS in {DAVIS}")
    files = list_images(DAVIS / "bmx-trees")[::3]
    return np.stack([np.asarray(Image.open(file)) > 0 for file in files])


def worse(truth: Masks) -> Masks:
    """Masks as a method might find them: moved, smaller, larger, coarser, noisy, none, and all right."""
    random = np.random.default_rng(0)

    def found(mask: NDArray[np.uint8], kind: int) -> NDArray[np.bool_]:
        ways: list[Callable[[], NDArray[np.generic]]] = [
            lambda: np.roll(mask, random.integers(-20, 20, 2), (0, 1)),
            lambda: cv2.erode(mask, np.ones((5, 5))),
            lambda: cv2.dilate(mask, np.ones((9, 9))),
            lambda: cv2.resize(cv2.resize(mask, (61, 37)), mask.shape[::-1], interpolation=cv2.INTER_NEAREST),
            lambda: mask ^ (random.random(mask.shape) < 0.02),
            lambda: np.zeros_like(mask),
            lambda: mask,
        ]
        return np.asarray(ways[kind % len(ways)]() != 0)

    return np.stack([found(mask.astype(np.uint8), number) for number, mask in enumerate(truth)])


@pytest.mark.slow
@pytest.mark.parametrize("tool", [davisinteractive, vos_benchmark])
def test_equal_to_the_tools_on_masks_of_davis(
    tool: Callable[[Masks, Masks], Measures], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, known in (("int", int), ("float", float)):  # as NumPy called them when the tool was written
        monkeypatch.setattr(np, name, known, raising=False)
    truth = annotations()
    found = worse(truth)
    for mine, theirs in zip(ours(truth, found), tool(truth, found), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-6)
        assert 0 < mine.mean() < 1
