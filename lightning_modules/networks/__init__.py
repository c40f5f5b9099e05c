"""The three networks: detector ``D``, synthesis ``S``, inpainter ``I``; and the segmenter around ``S``."""

from lightning_modules.networks.detector import Detector, Proposals
from lightning_modules.networks.inpainter import Inpainter
from lightning_modules.networks.peaks import peaks
from lightning_modules.networks.segmenter import Segmenter
from lightning_modules.networks.synthesis import Synthesis

__all__ = ["Detector", "Inpainter", "Proposals", "Segmenter", "Synthesis", "peaks"]
