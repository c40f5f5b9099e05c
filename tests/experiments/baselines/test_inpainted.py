"""Inpainters as backgrounds: the same holes for all, nothing outside them, and what is unlike the painted is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from backdrop.errors import RunError
from datamodules.readers import Pixels
from experiments.baselines import METHODS
from experiments.baselines.inpainted import Inpainted, SceneInpainter
from lightning_modules import InpaintingModule
from lightning_modules.losses import Reconstruction
from tests.moving_square import SIZE, jaccard, moving_square

OPENCV = ("inpaint_telea", "inpaint_navier_stokes")


def on_a_slope() -> tuple[Pixels, NDArray[np.bool_]]:
    """A square in the middle of a smooth scene, and where it is."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.stack([60 + x / 2, 80 + y / 2, 100 + 0 * x], axis=2).astype(np.uint8)
    mask = np.zeros(SIZE, dtype=bool)
    mask[38:58, 54:78] = True
    image[mask] = (220, 30, 30)
    return image, mask


class Shown(Inpainted):
    """Remembers its holes and paints them grey."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(**{"boxes": "videopca", "growth": 1.2, "height": 96, **settings})
        self.holes: list[NDArray[np.bool_]] = []

    def _fill(self, frame: Pixels, hole: NDArray[np.bool_]) -> Pixels:
        self.holes.append(hole)
        return np.where(hole[..., None], np.uint8(128), frame)


@pytest.mark.parametrize("name", OPENCV)
def test_a_square_on_a_smooth_scene_is_what_the_inpainter_does_not_paint(name: str) -> None:
    image, mask = on_a_slope()
    (found,) = METHODS[name](boxes="centre").predict([image], [0])  # type: ignore[call-arg]
    assert jaccard(found.mask, mask) > 0.8 and 0 < found.confidence <= 1
    assert found.background is not None and found.background.shape == image.shape
    scene = np.where(mask[..., None], found.background, image)
    assert np.abs(scene[mask].astype(int) - (93, 104, 100)).mean() < 10  # the slope goes on under the square


def test_the_hole_is_the_grown_box_or_the_middle_and_nothing_is_found_outside() -> None:
    images, masks = moving_square()
    grown, same = Shown(growth=1.5), Shown(growth=1.0)
    found, _ = (list(method.predict(images, (11, 12))) for method in (grown, same))
    for one, wide, narrow, place in zip(found, grown.holes, same.holes, (11, 12), strict=True):
        assert not (one.mask[~wide] > 0).any() and (wide & masks[place]).sum() > 0.9 * masks[place].sum()
        assert wide.sum() == pytest.approx(1.5**2 * narrow.sum(), rel=0.15)
    middle = np.zeros(SIZE, dtype=bool)
    middle[24:72, 32:96] = True
    for method, frames in ((Shown(boxes="centre"), images), (Shown(), [np.zeros((*SIZE, 3), np.uint8)] * 3)):
        list(method.predict(frames, [1]))
        np.testing.assert_array_equal(method.holes[0], middle)


def test_a_trained_inpainter_paints_the_hole_and_leaves_the_rest(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = InpaintingModule([4, 8], reconstruction=Reconstruction(perceptual_net=None)).eval()
    path = tmp_path / "last.ckpt"
    torch.save({"hyper_parameters": {"channels": [4, 8]}, "state_dict": module.state_dict()}, path)
    image, _ = on_a_slope()
    (found,) = SceneInpainter(str(path), boxes="centre").predict([image], [0])
    hole = torch.zeros(1, 1, *SIZE)
    hole[..., 24:72, 32:96] = 1
    with torch.no_grad():
        painted = module(torch.from_numpy(image).permute(2, 0, 1)[None] / 255, hole)[0].permute(1, 2, 0).numpy()
    assert found.background is not None
    np.testing.assert_allclose(found.background / 255, painted, atol=0.003)


@pytest.mark.parametrize("name", ["inpaint_scene", "inpaint_generic"])
def test_a_missing_inpainter_is_said(name: str, tmp_path: Path) -> None:
    kind: Any = METHODS[name]
    with pytest.raises(RunError, match="give checkpoint, such as RUN"):
        kind()
    with pytest.raises(RunError, match=r"none.ckpt does not exist; train stage 1 first"):
        kind(str(tmp_path / "none.ckpt"))


@pytest.mark.parametrize(("name", "value"), [("growth", 0.5), ("height", 8), ("radius", 0)])
def test_settings_that_mean_nothing_are_refused(name: str, value: float) -> None:
    kind: Any = METHODS["inpaint_telea"]
    with pytest.raises(RunError, match=f"{name} is {value}: give "):
        kind(**{name: value})
