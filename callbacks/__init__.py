"""Callbacks: measures, pictures and a guard, each of which works with any module that keeps the step output."""

from callbacks.chosen_frames import ChosenFrames
from callbacks.mask_images import MaskImages
from callbacks.mask_metrics import MaskMetrics
from callbacks.nan_guard import LossNotFinite, NanGuard
from callbacks.neighbour_probe import NeighbourProbe

__all__ = ["ChosenFrames", "LossNotFinite", "MaskImages", "MaskMetrics", "NanGuard", "NeighbourProbe"]
