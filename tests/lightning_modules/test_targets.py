"""Stage 2 on targets: what the scene says of boxes and masks."""

from __future__ import annotations

import pytest
import torch

from backdrop.contracts import Batch
from lightning_modules import Targets
from lightning_modules.losses import Reconstruction, ReconstructionLoss
from lightning_modules.networks import CodeSegmenter, Inpainter
from lightning_modules.scene import Inpainting, View


@pytest.fixture
def view() -> View:
    """Two frames; the subject of the first fills x 0..1, y -1..0 of it, that of the second is not to be trusted."""
    target = torch.zeros(2, 1, 16, 16)
    target[:, :, :8, 8:] = 1
    trust = torch.ones(2, 1, 16, 16)
    trust[1] = 0.25
    batch: Batch = {
        "image": torch.rand(2, 3, 16, 16), "clip": ["a", "b"], "index": torch.arange(2),
        "motion": target, "target": target, "trust": trust,
    }  # fmt: skip
    return Targets(growth=1.0).view(batch, Inpainter([8, 8]), training=True)


def test_boxes_fit_the_whole_target_wherever_they_are_and_count_by_its_trust(view: View) -> None:
    box = torch.tensor([[-0.5, 0.5, 0.2, 0.2]]).expand(2, 4)
    fitted, counts = view.scene.target(view, box, torch.zeros(2, 1, 4, 4), 1.0, 0.0, (0.1, 0.9))
    assert torch.allclose(fitted, torch.tensor([[0.5, -0.5, 0.5, 0.5]]).expand(2, 4), atol=1e-5)
    assert torch.allclose(counts, torch.tensor([1.0, 0.25]))


def test_the_error_is_the_trusted_target_in_the_box(view: View) -> None:
    box = torch.tensor([[0.5, -0.5, 0.25, 0.5]]).expand(2, 4)  # half of the target
    assert torch.allclose(view.scene.error(view, box), torch.tensor([1 / 8, 1 / 32]))
    assert torch.allclose(view.scene.swept_error(view, box), torch.tensor([1 / 8, 1 / 32]), atol=1e-6)
    beside = torch.tensor([[-0.5, 0.5, 0.25, 0.5]]).expand(2, 4)
    assert not view.scene.error(view, beside).any()


def test_a_mask_pays_for_its_distance_from_the_target_in_the_box_only(view: View) -> None:
    reconstruction = ReconstructionLoss(Reconstruction(perceptual_net=None, perceptual_weight=0.0))
    box = torch.tensor([[0.5, -0.5, 0.5, 0.5]]).expand(2, 4)
    right, nothing = view.batch["target"], torch.zeros(2, 1, 16, 16)
    good, bad = (view.scene.loss(view, box, view.image, mask, reconstruction) for mask in (right, nothing))
    assert good.abs().max() < 1e-3
    assert bad[0] > 1 and bad[1] == pytest.approx(float(bad[0]) / 4, rel=1e-3)
    outside = right.clone()
    outside[:, :, 8:] = 1
    assert torch.allclose(view.scene.loss(view, box, view.image, outside, reconstruction), good)


def test_without_targets_training_is_refused_and_a_test_falls_back_on_the_inpainter(view: View) -> None:
    batch: Batch = {name: view.batch[name] for name in ("image", "clip", "index")}  # type: ignore[assignment,literal-required]
    with pytest.raises(ValueError, match=r"needs target, trust of the data.*data\.init_args\.targets"):
        view.scene.view(batch, view.inpainter, training=True)
    assert isinstance(view.scene.view(batch, view.inpainter, training=False).scene, Inpainting)


def test_the_foreground_must_be_the_window() -> None:
    with pytest.raises(ValueError, match="needs one whose foreground is the window"):
        Targets().require_segmenter(CodeSegmenter(weights=None))
