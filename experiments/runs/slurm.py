"""One process in a SLURM allocation of several tasks, which Lightning would take for one of them."""

from __future__ import annotations

import os

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from backdrop.errors import RunError


def own_environment(devices: object = 1, nodes: object = 1) -> ClusterEnvironment | None:
    """What keeps Lightning from SLURM's tasks where they are not its processes, as in a shell that ``salloc`` opened.

    The variables are those of the manual of ``srun``: ``SLURM_NTASKS`` counts the tasks of the allocation,
    ``SLURM_STEP_NUM_TASKS`` those that ``srun`` has started together.

    Args:
        devices: How many devices the trainer takes in a node.
        nodes: How many nodes it takes.

    Returns:
        The environment of a single process; None where Lightning finds its own.

    Raises:
        RunError: If several tasks were started for one device: each of them would do the same.
    """
    if str(devices) != "1" or str(nodes) != "1":
        return None
    started = tasks_started()
    if started > 1:
        raise RunError(
            f"srun has started {started} tasks of a command that uses one device, and each would do the same: call it "
            f"with srun --ntasks=1, or train on several with --trainer.devices {started} --trainer.strategy ddp."
        )
    return LightningEnvironment() if _number("SLURM_NTASKS") > 1 else None


def tasks_started() -> int:
    """How many processes ``srun`` has started together with this one; 1 where it has started none."""
    return _number("SLURM_STEP_NUM_TASKS")


def _number(variable: str) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isdecimal() else 1
