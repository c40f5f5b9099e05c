"""Networks of torchvision with their published weights, or a sentence that says where these were sought."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models

from backdrop.errors import RunError, one_line
from lightning_modules.networks.backbone import names_a_file, published_network, read_tensors


def torchvision_network(name: str, weights: str | None, **options: Any) -> nn.Module:  # noqa: ANN401
    """Build a network in evaluation mode.

    Args:
        name: Its name in torchvision.
        weights: Name of torchvision's weights, which are sought in ``TORCH_HOME`` and else fetched; the path of a state
            dict (``.pth``, ``.pt``); or None for random ones.
        **options: Options of torchvision's builder.

    Raises:
        RunError: If there are no such weights, they cannot be fetched, or they do not fit.
    """
    if weights is None:
        return models.get_model(name, weights=None, **options).eval()  # type: ignore[no-any-return]  # no annotations
    try:
        if not names_a_file(weights):
            return published_network(name, weights, **options).eval()
        saved = read_tensors(weights)
    except (RuntimeError, ValueError) as error:
        raise RunError(one_line(error)) from error
    network: nn.Module = models.get_model(name, weights=None, **options)
    try:
        network.load_state_dict(saved.get("state_dict", saved))
    except (AttributeError, RuntimeError, TypeError) as error:
        raise RunError(f"{weights} is no state dict of torchvision's {name}: give another file.") from error
    return network.eval()
