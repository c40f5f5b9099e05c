"""Human3.6M on disk: layout and splits, and the files that hold its masks."""

from datamodules.sets.h36m.data_set import TESTED, TRAINED, H36m

__all__ = ["TESTED", "TRAINED", "H36m"]
