"""The three networks: detector ``D``, synthesis ``S``, inpainter ``I``; and the segmenter around ``S``."""

from lightning_modules.networks.detector import Detector, DetectorSettings, Proposals
from lightning_modules.networks.inpainter import Inpainter
from lightning_modules.networks.peaks import peaks
from lightning_modules.networks.segmenter import CodeSegmenter, Segmenter, SegmenterSettings, WindowSegmenter, compose

__all__ = [
    "CodeSegmenter",
    "Detector",
    "DetectorSettings",
    "Inpainter",
    "Proposals",
    "Segmenter",
    "SegmenterSettings",
    "WindowSegmenter",
    "compose",
    "peaks",
]
