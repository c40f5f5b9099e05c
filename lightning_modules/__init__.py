"""The two stages of training, and the encoder's own."""

from lightning_modules.encoding import EncoderModule
from lightning_modules.inpainting import InpaintingModule
from lightning_modules.segmentation import SegmentationModule
from lightning_modules.targets import Targets

__all__ = ["EncoderModule", "InpaintingModule", "SegmentationModule", "Targets"]
