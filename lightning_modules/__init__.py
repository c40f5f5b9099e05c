"""The two stages of training."""

from lightning_modules.inpainting import InpaintingModule
from lightning_modules.segmentation import SegmentationModule
from lightning_modules.targets import Targets

__all__ = ["InpaintingModule", "SegmentationModule", "Targets"]
