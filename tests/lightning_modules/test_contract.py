"""Every step of both modules returns what the contract of the rooms has."""

import pytest
import torch

from backdrop.contracts import Batch, validate_output
from lightning_modules import InpaintingModule, SegmentationModule
from tests.tiny import PIXELS, SEGMENTATION


@pytest.fixture
def batch() -> Batch:
    image = torch.rand(2, 3, 36, 48, generator=torch.Generator().manual_seed(1))
    return {"image": image, "clip": ["bear", "boat"], "index": torch.arange(2)}


@pytest.mark.parametrize("stage", ["training", "validation", "test"])
def test_the_outputs_of_stage_1_keep_the_contract(batch: Batch, stage: str) -> None:
    module = InpaintingModule((4, 8), reconstruction=PIXELS)
    module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    output = getattr(module, f"{stage}_step")(batch, 0)
    validate_output(output)
    assert {"loss", "composite", "hole"} <= output.keys()


@pytest.mark.parametrize("subjects", [1, 3])
@pytest.mark.parametrize("stage", ["training", "validation", "test", "predict"])
def test_the_outputs_of_stage_2_keep_the_contract(batch: Batch, stage: str, subjects: int) -> None:
    module = SegmentationModule(**SEGMENTATION, inpainter_channels=(4, 8))
    module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    module.subjects = subjects
    with torch.set_grad_enabled(stage == "training"):
        output = getattr(module, f"{stage}_step")(batch, 0)
    validate_output(output)
    assert {"mask", "box", "confidence"} <= output.keys()
    assert ("subject_mask" in output) == (subjects > 1 and stage in ("test", "predict"))
