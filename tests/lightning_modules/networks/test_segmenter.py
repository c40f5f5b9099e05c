"""The segmenter crops, decodes and pastes back; recoloured windows leave the foreground alone."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from lightning_modules.networks import Segmenter, SegmenterSettings
from tests.tiny import CODE, WINDOW

BOX = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.2, -0.1, 0.3, 0.6]])


def segmenter(settings: SegmenterSettings = WINDOW) -> Segmenter:
    torch.manual_seed(0)
    return settings.build()


def test_the_foreground_is_the_frame_inside_the_box_and_nothing_outside() -> None:
    image = torch.full((2, 3, 48, 64), 0.7)
    mask, foreground, window_mask = segmenter().eval()(image, BOX)
    assert mask.shape == (2, 1, 48, 64) and window_mask.shape == (2, 1, 32, 32)
    torch.testing.assert_close(foreground[0, :, 16:32, 20:44], torch.full((3, 16, 24), 0.7))
    assert foreground[0, :, :10].eq(0).all() and mask[0, :, :10].eq(0).all()
    torch.testing.assert_close(mask[0, 0, 24, 32], window_mask[0, 0, 15:17, 15:17].mean(), rtol=0.05, atol=0)


@pytest.mark.parametrize("settings", [WINDOW, CODE])
def test_the_mask_alone_is_the_same_with_the_same_gradient(settings: SegmenterSettings) -> None:
    image = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    found: list[tuple[torch.Tensor, ...]] = []
    for mask_only in (False, True):
        net, box = segmenter(settings).eval(), BOX.clone().requires_grad_()
        mask, foreground, window_mask = net(image, box, mask_only)
        assert (foreground is None) == mask_only
        mask.square().sum().backward()
        assert box.grad is not None
        found.append((mask, window_mask, box.grad))
    for whole, alone in zip(*found, strict=True):
        assert torch.equal(whole, alone)


def test_recolouring_changes_what_decides_the_mask_and_nothing_else() -> None:
    image = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    net = segmenter(replace(WINDOW, recolour=True))
    seen: list[torch.Tensor] = []
    net.synthesis.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    _, in_training, _ = net.train()(image, BOX)
    _, in_use, _ = net.eval()(image, BOX)
    torch.testing.assert_close(in_training, in_use)
    assert (seen[0] - seen[1]).abs().mean() > 0.05
    assert 0 <= seen[0].min() and seen[0].max() <= 1


def test_in_use_the_window_keeps_its_colours() -> None:
    image = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    plain, recolouring = segmenter().eval(), segmenter(replace(WINDOW, recolour=True)).eval()
    torch.testing.assert_close(plain(image, BOX)[0], recolouring(image, BOX)[0])


def test_the_box_has_a_gradient_through_the_mask() -> None:
    box = BOX.clone().requires_grad_()
    segmenter(CODE)(torch.rand(2, 3, 48, 64), box)[0].sum().backward()
    assert box.grad is not None and box.grad.abs().min() > 0


def test_the_focal_bump_is_a_switch() -> None:
    image = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    bumped, plain = segmenter(CODE).eval()(image, BOX)[2], segmenter(replace(CODE, focal=False)).eval()(image, BOX)[2]
    assert bumped[..., 0, 0].max() == 0 < plain[..., 0, 0].min()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"crop_size": (36, 32)}, r"crop_size of CodeSegmenter is \(36, 32\), expected a multiple of 16, for 2 dec"),
        ({"crop_size": (48, 48), "decoder_channels": (16, 16, 16, 8, 8)}, "expected a multiple of 32, for 5 dec"),
        ({"crop_size": (0, 32)}, r"crop_size of CodeSegmenter is \(0, 32\), expected above 0"),
        ({"code_size": 0}, "code_size of CodeSegmenter is 0, expected above 0"),
        ({"decoder_channels": (16, 0)}, "decoder_channels of CodeSegmenter is .*, expected above 0"),
        ({"backbone": "vgg16"}, "not a ResNet"),
        ({"width": 0.0}, "must be above 0"),
    ],
)
def test_what_cannot_be_built_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CODE, **changed)
