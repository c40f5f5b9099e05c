"""Networks of torchvision with their published weights, or a sentence that says where these were sought."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

from experiments.errors import RunError


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
    if weights is not None and Path(weights).suffix in (".pth", ".pt"):
        network = models.get_model(name, weights=None, **options)
        try:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except FileNotFoundError as error:
            raise RunError(f"The weights {weights} of {name} do not exist: give an existing file.") from error
        except RuntimeError as error:
            raise RunError(f"{weights} is no state dict of torchvision's {name}: give another file.") from error
        return network.eval()  # type: ignore[no-any-return]  # torchvision has no annotations
    try:
        return models.get_model(name, weights=weights, **options).eval()  # type: ignore[no-any-return]
    except (KeyError, ValueError) as error:
        known = ", ".join(member.name for member in models.get_model_weights(name))
        raise RunError(f"There are no weights {weights} of {name}: choose {known}, a file or null.") from error
    except OSError as error:
        raise RunError(
            f"The weights {weights} of {name} are not in {torch.hub.get_dir()}/checkpoints and cannot be fetched "
            f"({error}): set TORCH_HOME to a folder that holds them, or give the path of the file."
        ) from error
