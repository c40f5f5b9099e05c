"""Class activation maps: where a classifier looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms.functional import normalize, to_tensor

from experiments.baselines.method import Baseline, Frames, Prediction, Soft, from_mask, require
from experiments.baselines.weights import torchvision_network
from lightning_modules.networks.backbone import IMAGENET_MEAN, IMAGENET_STD

_LEVEL = 0.2  # of the map's maximum, where Zhou et al. cut it


class Cam(Baseline):
    """Zhou et al. 2016: the last maps of a classifier with global pooling, weighed as for its most probable class.

    The map c, without what speaks against the class and over its maximum, becomes c / (c + 0.2): 0.5 is the authors'
    threshold of 20 % of the maximum.

    Args:
        weights: See :func:`experiments.baselines.weights.torchvision_network`, of ResNet-50.
        side: Smaller side of the frame, in pixels, as the classifier sees it.

    Raises:
        RunError: If the weights cannot be loaded.
    """

    whole_clips = False
    labels: ClassVar[str] = "classes of ImageNet in the network's training"

    def __init__(self, weights: str | None = "IMAGENET1K_V1", side: int = 224) -> None:
        require(32, side=side)
        self.side = side
        classifier: Any = torchvision_network("resnet50", weights)
        self.head: nn.Linear = classifier.fc
        self.network: nn.Module = create_feature_extractor(classifier, {"layer4": "maps", "fc": "scores"})

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        for position in wanted:
            yield from_mask(self._map(to_tensor(frames[position])))

    @torch.inference_mode()
    def _map(self, image: Tensor) -> Soft:
        """The soft mask of one frame, (3, H, W), in [0, 1]."""
        size = (image.shape[1], image.shape[2])
        small = [round(side * self.side / min(size)) for side in size]
        shown = F.interpolate(image[None].to(self.head.weight.device), small, mode="bilinear", antialias=True)
        found = self.network(normalize(shown, list(IMAGENET_MEAN), list(IMAGENET_STD)))
        weights = self.head.weight[found["scores"][0].argmax()]  # (2048,)
        activation = torch.einsum("c,chw->hw", weights, found["maps"][0])[None, None]
        activation = F.interpolate(activation, size, mode="bilinear", align_corners=False)[0, 0].clamp(min=0)
        share = (activation / activation.max().clamp(min=1e-6)).cpu().numpy()
        return np.asarray(share / (share + _LEVEL), dtype=np.float32)
