"""Ski-PTZ on disk: layout and splits, and what its cameras say of the skier."""

from datamodules.sets.ski.data_set import SUBJECTS, TRIALS, Ski

__all__ = ["SUBJECTS", "TRIALS", "Ski"]
