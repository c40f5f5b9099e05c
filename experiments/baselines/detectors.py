"""Detectors that were trained with the labels of COCO: Mask R-CNN, and one that gives boxes only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights
from torchvision.transforms.functional import to_tensor

from backdrop.boxes import from_corners
from backdrop.errors import RunError
from experiments.baselines.method import Baseline, Frames, Prediction, Soft
from experiments.baselines.weights import torchvision_network

CATEGORIES: tuple[str, ...] = tuple(MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"])


class Detector(Baseline):
    """The detection of the highest score in each frame, alone: there is one subject.

    Args:
        network: Name of a detector of torchvision.
        weights: See :func:`experiments.baselines.weights.torchvision_network`; the trunk has no weights of its own.
        category: Detections of this category of COCO only; None takes the surest of any.

    Raises:
        RunError: If the weights cannot be loaded, or COCO has no such category.
    """

    whole_clips = False

    def __init__(self, network: str, weights: str | None, category: str | None) -> None:
        if category is not None and category not in CATEGORIES:
            raise RunError(f"COCO has no category '{category}': give one such as person, dog or car, or null.")
        self.category = category
        self.network: nn.Module = torchvision_network(network, weights, weights_backbone=None)

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        for position in wanted:
            yield self._detect(to_tensor(frames[position]))

    @torch.inference_mode()
    def _detect(self, image: Tensor) -> Prediction:
        """The prediction of one frame, (3, H, W), in [0, 1]."""
        found = self.network([image.to(next(self.network.parameters()).device)])[0]
        size = (image.shape[1], image.shape[2])
        scores = found["scores"]
        if self.category is not None:
            scores = scores * (found["labels"] == CATEGORIES.index(self.category))
        if not len(scores) or not float(scores.max()) > 0:
            return Prediction(np.zeros(size, dtype=np.float32), (0.0, 0.0, 0.0, 0.0), 0.0)
        best = int(scores.argmax())
        left, top, right, bottom = found["boxes"][best].tolist()
        mask = self._mask(found, best, size)
        return Prediction(mask, from_corners((left, top, right, bottom), size), float(scores[best]))

    def _mask(self, found: dict[str, Tensor], best: int, size: tuple[int, int]) -> Soft:
        """The box, filled: pixels whose centre is in it."""
        left, top, right, bottom = found["boxes"][best].tolist()
        y, x = (np.arange(side) + 0.5 for side in size)
        inside = ((y >= top) & (y <= bottom))[:, None] & ((x >= left) & (x <= right))[None, :]
        return np.asarray(inside, dtype=np.float32)


class CocoDetector(Detector):
    """Faster R-CNN of torchvision, in the place of the paper's YOLOv3 (Table 1); the filled box is the mask.

    Args:
        weights: See :class:`Detector`.
        category: See :class:`Detector`.
    """

    labels: ClassVar[str] = "boxes of COCO in the network's training, classes of ImageNet in its trunk's"

    def __init__(self, weights: str | None = "COCO_V1", category: str | None = None) -> None:
        super().__init__("fasterrcnn_resnet50_fpn", weights, category)


class MaskRcnn(Detector):
    """Mask R-CNN (He et al. 2017) of torchvision: the paper's MaskRCNN row; 0.5 is its own threshold of masks.

    Args:
        weights: See :class:`Detector`.
        category: See :class:`Detector`.
    """

    labels: ClassVar[str] = "boxes and masks of COCO in the network's training, classes of ImageNet in its trunk's"

    def __init__(self, weights: str | None = "COCO_V1", category: str | None = None) -> None:
        super().__init__("maskrcnn_resnet50_fpn", weights, category)

    def _mask(self, found: dict[str, Tensor], best: int, size: tuple[int, int]) -> Soft:
        """The soft mask of the detection."""
        return np.asarray(found["masks"][best, 0].cpu().numpy(), dtype=np.float32)
