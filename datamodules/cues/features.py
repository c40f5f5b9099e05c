"""Features of frames from a network that torchvision has, few enough to learn from one clip."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from backdrop.bfloat16 import has_bf16
from backdrop.stops import may_stop
from datamodules.cues.patches import EVERY, LIGHTNESS, ClipFilters, Features, grid_size
from datamodules.cues.principal import Basis, learnt
from datamodules.readers import Pixels

AUTO, NONE, FOOTAGE, USUAL = "auto", "none", "footage", "vgg16"
"""The usual network where its weights are on this machine, else none; filters learnt on the clip; the usual network."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB
_COMPONENTS = 64  # of each layer
_CELL, _UNIT, _LEAST_UNITS = 4, 16, 4  # pixels of the network for a cell of the features; sides are multiples of 16

_HALF = has_bf16()
_loading = Lock()  # clips may be looked at in several threads

SETTINGS = f"features {LIGHTNESS} {_COMPONENTS} {_CELL} {_UNIT} {_LEAST_UNITS} {EVERY} {_HALF}"
"""Part of the identity of what is stored."""


class Describer(Protocol):
    """Gives features of frames."""

    def features(self, images: Sequence[Pixels]) -> list[Features]:
        """See :meth:`Backbone.features`."""


@dataclass(frozen=True)
class Backbone:
    """A network whose activations tell what looks alike.

    Attributes:
        name: Of the network in torchvision: one of its VGGs or ResNets.
    """

    name: str = USUAL

    def __post_init__(self) -> None:
        """Refuse another kind.

        Raises:
            ValueError: If torchvision has no VGG or ResNet of that name.
        """
        if self.name not in known():
            names = ", ".join(known())
            raise ValueError(f"there is no backbone {self.name}: choose {AUTO}, none, {FOOTAGE} or one of {names}.")

    def features(self, images: Sequence[Pixels]) -> list[Features]:
        """Features of the frames of a clip.

        The activations of the last layers of three stages, each vector with its length taken away first, as that tells
        more of contrast than of content, and reduced to the principal components that they have in this clip; and the
        colour.

        Args:
            images: RGB, uint8, (H, W, 3), all of one size.

        Returns:
            Of each image, at :func:`grid_size`, 3 * 64 + 3 channels.

        Raises:
            OSError: If the weights cannot be had; it says where they were sought.
        """
        examples = {at: self._activations(images[at]) for at in range(0, len(images), EVERY)}
        bases = _bases(list(examples.values()))
        found = (examples.pop(at) if at in examples else self._activations(image) for at, image in enumerate(images))
        return [_reduced(image, maps, bases) for image, maps in zip(images, found, strict=True)]

    @torch.inference_mode()
    def _activations(self, image: Pixels) -> list[Tensor]:
        """Activations of unit length, (channels, h, w) of each layer."""
        may_stop()
        height, width = (max(_LEAST_UNITS, round(_CELL * side / _UNIT)) * _UNIT for side in grid_size(image))
        shrinks = image.shape[0] >= height
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        planes = torch.from_numpy(resized).permute(2, 0, 1)[None].float() / 255
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        x = ((planes - mean) / deviation).contiguous(memory_format=torch.channels_last)
        with _loading:
            network = _network(self.name)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=_HALF):
            found = network(x)
        maps = [one[0].float() for one in found.values()]
        return [one / one.norm(dim=0, keepdim=True).clamp_min(1e-6) for one in maps]


def known() -> list[str]:
    """The networks that can be named."""
    return [name for name in models.list_models(module=models) if re.fullmatch(r"vgg\d+|resnet\d+", name)]


def chosen(name: str) -> Describer | None:
    """What gives the features, by its name.

    Args:
        name: Of a network; ``footage`` for filters that are learnt on the clip itself; ``auto`` or ``none``.

    Returns:
        It; None for ``none``.

    Raises:
        ValueError: If there is no such name.
    """
    name = resolved(name)
    if name == NONE:
        return None
    return ClipFilters() if name == FOOTAGE else Backbone(name)


def resolved(name: str) -> str:
    """What a name stands for on this machine: ``auto`` is the usual network, or ``none``."""
    return (USUAL if weights_file(USUAL).is_file() else NONE) if name == AUTO else name


def sentence(name: str) -> str:
    """Where the features of a name come from, in words."""
    if name == AUTO and resolved(name) == NONE:
        return (
            f"Targets: no features, as {weights_file(USUAL)} is not there; with data.init_args.target_features={USUAL} "
            "torchvision fetches it (550 MB), and the targets are better."
        )
    known_words = {NONE: "no features", FOOTAGE: "features learnt on each clip"}
    return f"Targets: {known_words.get(resolved(name), f'features of {resolved(name)}, trained on ImageNet')}."


def weights_file(name: str) -> Path:
    """Where torchvision keeps the weights of a network, whether they are there or not."""
    url: str = _weights(name).url
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def _weights(name: str) -> models.Weights:
    return models.get_model_weights(name)["IMAGENET1K_V1"]


@lru_cache(maxsize=1)
def _network(name: str) -> nn.Module:
    """The network as far as its activations are taken, frozen; it is fetched by torchvision where it is not there."""
    weights = _weights(name)
    try:
        state = torch.hub.load_state_dict_from_url(weights.url, progress=True, map_location="cpu", check_hash=True)
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError) as error:
        if weights_file(name).is_file() and not isinstance(error, OSError):
            raise OSError(f"{weights_file(name)} is damaged ({error}): delete it, and it is fetched again.") from error
        raise OSError(
            f"The weights of {name} cannot be had from {weights_file(name)} nor from {weights.url} ({error}): put the "
            "file there (TORCH_HOME says where), or set data.init_args.target_features to none."
        ) from error
    with torch.device("meta"):  # draws no random number
        network = models.get_model(name, weights=None)
    left = network.load_state_dict(state, strict=False, assign=True).missing_keys
    if any(not key.startswith(("classifier.", "fc.")) for key in left):
        raise OSError(f"{weights_file(name)} holds no weights of {name}: it lacks {left[0]}. Delete it.")
    for layer in network.modules():  # zeros around a frame would tell the features how far its border is
        if isinstance(layer, nn.Conv2d) and isinstance(layer.padding, tuple) and any(layer.padding):
            layer.padding_mode = "reflect"
            layer._reversed_padding_repeated_twice = [side for side in reversed(layer.padding) for _ in range(2)]
    layers = _layers(network)
    extractor: nn.Module = create_feature_extractor(network, layers).eval().to(memory_format=torch.channels_last)
    extractor.requires_grad_(False)
    return extractor


def _layers(network: nn.Module) -> list[str]:
    """The last layers of the last three stages."""
    if isinstance(network, models.VGG):
        pools = [at for at, layer in enumerate(network.features) if isinstance(layer, nn.MaxPool2d)]
        return [f"features.{at - 1}" for at in pools[-3:]]
    return ["layer2", "layer3", "layer4"]


def _bases(examples: Sequence[Sequence[Tensor]]) -> list[Basis]:
    """The principal components of each layer over some frames."""
    vectors = [torch.cat([maps.flatten(1).T for maps in layer]) for layer in zip(*examples, strict=True)]
    return [learnt(layer, _COMPONENTS) for layer in vectors]


def _reduced(image: Pixels, activations: Sequence[Tensor], bases: Sequence[Basis]) -> Features:
    """The components of each layer, and the colour, at the grid of an image."""
    may_stop()
    grid, planes = grid_size(image), []
    for maps, basis in zip(activations, bases, strict=True):
        planes.append(F.interpolate(basis.reduced(maps)[None], grid, mode="bilinear", align_corners=False)[0])
    colour = cv2.cvtColor(cv2.resize(image, grid[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    layers = torch.cat(planes).permute(1, 2, 0).numpy()
    return np.concatenate([layers, colour.astype(np.float32) / np.float32(LIGHTNESS)], axis=2)
