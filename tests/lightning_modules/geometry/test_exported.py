"""Crop and paste of an exported graph, which invert no matrix, are those of Kornia."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lightning_modules.geometry import crop, paste

BOX = torch.tensor([[0.1, -0.2, 0.4, 0.3], [-0.8, 0.9, 0.5, 0.6], [0.0, 0.0, 1.0, 1.0]])


@pytest.mark.parametrize("transform", [crop, paste])
@pytest.mark.parametrize("size", [(24, 32), (9, 50), (40, 20)])
def test_values_are_the_same(
    transform: Callable[..., torch.Tensor], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = torch.rand(3, 4, 40, 60, generator=torch.Generator().manual_seed(0))
    expected = transform(image, BOX, size)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.allclose(transform(image, BOX, size), expected, atol=2e-5)


def test_a_wrong_box_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    for transform in (crop, paste):
        with pytest.raises(ValueError, match=r"expected \(B, 4\)"):
            transform(torch.zeros(1, 1, 4, 4), torch.zeros(1, 3), (2, 2))
