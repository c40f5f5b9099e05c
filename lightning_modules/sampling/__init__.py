"""What is drawn at random: holes in stage 1, proposals in stage 2."""

from lightning_modules.sampling.holes import random_holes
from lightning_modules.sampling.proposals import EstimatorName, Samples, sample_cells, sampling_distribution

__all__ = ["EstimatorName", "Samples", "random_holes", "sample_cells", "sampling_distribution"]
