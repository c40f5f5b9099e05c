"""Callbacks: measures, pictures and a guard, each of which works with any module that keeps the step output."""

from callbacks.mask_images import MaskImages
from callbacks.mask_metrics import MaskMetrics
from callbacks.nan_guard import LossNotFinite, NanGuard

__all__ = ["LossNotFinite", "MaskImages", "MaskMetrics", "NanGuard"]
