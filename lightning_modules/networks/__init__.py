"""The three networks: detector ``D``, synthesis ``S``, inpainter ``I``."""

from lightning_modules.networks.detector import Detector, Proposals
from lightning_modules.networks.inpainter import Inpainter
from lightning_modules.networks.synthesis import Synthesis

__all__ = ["Detector", "Inpainter", "Proposals", "Synthesis"]
