"""Sizes at which the networks train within a second."""

from __future__ import annotations

from typing import Any

from lightning_modules.estimators import Importance
from lightning_modules.losses import Reconstruction
from lightning_modules.networks import CodeSegmenter, DetectorSettings, WindowSegmenter

DETECTOR: dict[str, Any] = {"width": 0.125, "weights": None, "size": (64, 64), "s_min": 0.3}
_ENCODER: dict[str, Any] = {
    "crop_size": (32, 32), "backbone": "resnet18", "width": 0.125, "weights": None, "stride": 16,
}  # fmt: skip
CODE = CodeSegmenter(**_ENCODER, decoder_channels=(16, 8), code_size=20, tiled_size=8)
WINDOW = WindowSegmenter(**_ENCODER)
PIXELS = Reconstruction(perceptual_net=None)
SEGMENTATION: dict[str, Any] = {
    "detector": DetectorSettings(**DETECTOR),
    "segmenter": CODE,
    "estimator": Importance(epsilon=0.01),
    "reconstruction": PIXELS,
}
