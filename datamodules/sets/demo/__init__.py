"""The demo: a scene, figures that walk in it, and the cameras that film them, all drawn."""

from datamodules.sets.demo.data_set import Demo

__all__ = ["Demo"]
