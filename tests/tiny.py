"""Sizes at which the networks train within a second."""

from __future__ import annotations

from typing import Any

SEGMENTATION: dict[str, Any] = {
    "detector_width": 0.125,
    "detector_weights": None,
    "detector_size": (64, 64),
    "synthesis_backbone": "resnet18",
    "synthesis_width": 0.125,
    "synthesis_weights": None,
    "synthesis_stride": 16,
    "crop_size": (32, 32),
    "decoder_channels": (16, 8),
    "s_min": 0.3,
    "epsilon": 0.01,
    "perceptual_net": None,
}
