"""Measures over the frames of a test, as torchmetrics: they gather over processes, and compute once."""

from callbacks.scores.segmentation import SegmentationScores
from callbacks.scores.subjects import SubjectScores

__all__ = ["SegmentationScores", "SubjectScores"]
