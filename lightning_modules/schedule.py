"""The learning-rate schedule both stages share."""

import math
from typing import Any, Literal, get_args

from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from backdrop.ranges import one_of, positive

ScheduleName = Literal["constant", "cosine"]


def require_learning(owner: object, name: ScheduleName, **rates: float) -> None:
    """Refuse learning rates that are not positive, and unknown schedules.

    Args:
        owner: The module.
        name: Its ``lr_schedule``.
        **rates: Its learning rates by name.

    Raises:
        ValueError: If one is out of range.
    """
    positive(owner, **rates)
    one_of(get_args(ScheduleName), owner, lr_schedule=name)


def scheduled(optimizer: Optimizer, name: ScheduleName, steps: float) -> Any:  # noqa: ANN401  Lightning's union
    """What ``configure_optimizers`` returns: constant (the paper) or cosine to zero over the whole run, per step.

    Raises:
        ValueError: If a cosine is wanted for a run without an end.
    """
    if name == "constant":
        return optimizer
    if steps == float("inf"):
        raise ValueError("lr_schedule=cosine needs an end: set trainer.max_steps or trainer.max_epochs.")
    end = max(1, int(steps))
    # not CosineAnnealingLR: its state holds the length, which a training that is resumed to another length would keep
    schedule = LambdaLR(optimizer, lambda step: (1 + math.cos(math.pi * min(step / end, 1))) / 2)
    return OptimizerLRSchedulerConfig(optimizer=optimizer, lr_scheduler={"scheduler": schedule, "interval": "step"})
