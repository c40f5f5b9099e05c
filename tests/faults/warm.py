"""What commands import, so that a process that begins as a copy of this one has it at once."""

import os

os.environ |= {"WANDB_MODE": "disabled", "NO_ALBUMENTATIONS_UPDATE": "1", "JSONARGPARSE_DEPRECATION_WARNINGS": "off"}

import torch

import datamodules
from experiments.cli import COMMANDS, load

torch.set_num_threads(1)  # threads do not live on in a copy
datamodules.load_all()
for name in COMMANDS:
    load(name)
