"""The two stages of training."""

from lightning_modules.inpainting import InpaintingModule
from lightning_modules.segmentation import SegmentationModule

__all__ = ["InpaintingModule", "SegmentationModule"]
