"""Losses: pure functions of tensors, and thin modules where weights are held."""

from lightning_modules.losses.box_fit import box_fit, evidence_target, mask_target
from lightning_modules.losses.priors import MaskPriorKind, box_prior, confidence_prior, mask_prior, reach_prior
from lightning_modules.losses.reconstruction import (
    PerceptualDistance,
    Reconstruction,
    ReconstructionLoss,
    pixel_distance,
    squared_error,
)
from lightning_modules.losses.target_loss import target_loss

__all__ = [
    "MaskPriorKind",
    "PerceptualDistance",
    "Reconstruction",
    "ReconstructionLoss",
    "box_fit",
    "box_prior",
    "confidence_prior",
    "evidence_target",
    "mask_prior",
    "mask_target",
    "pixel_distance",
    "reach_prior",
    "squared_error",
    "target_loss",
]
