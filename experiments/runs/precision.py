"""In which precision a training computes: bfloat16 pays only where the processor has it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed.rendezvous import rendezvous

from backdrop.bfloat16 import has_bf16
from experiments.runs.slurm import own_environment, tasks_started

BF16, FLOAT32 = "bf16-mixed", "32-true"
OPTION = "--trainer.precision"
CHOSEN = "BACKDROP_PRECISION"
"""The variable in which the first of several processes tells its choice to those that it starts."""

_WAIT = timedelta(minutes=5)
_KEY = "backdrop/precision"
_stores: list[object] = []  # the first process serves the others as long as its store lives


def on_processor(accelerator: object) -> bool:
    """Whether a training runs on the processor.

    Args:
        accelerator: The trainer's setting of that name.
    """
    return accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())


def slow_bf16(accelerator: object) -> bool:
    """Whether a training in bfloat16 would be slow here, as it runs on a processor that has none.

    Args:
        accelerator: The trainer's setting of that name.
    """
    return on_processor(accelerator) and not has_bf16()


def agreed(choose: Callable[[], str], devices: object = 1, nodes: object = 1) -> str:
    """What the first of the processes chooses that ``torchrun`` or ``srun`` has started; the others wait for its word.

    Their machines may differ.

    Args:
        choose: Makes the choice.
        devices: How many devices the trainer takes in a node.
        nodes: How many nodes it takes.

    Returns:
        The same in all of them; where nothing has started several, what this process chooses.
    """
    environment = _launched(devices, nodes)
    if environment is None or environment.world_size() == 1:
        return choose()
    rank, size = environment.global_rank(), environment.world_size()
    address = f"tcp://{environment.main_address}:{environment.main_port}?rank={rank}&world_size={size}"
    store, _, _ = next(rendezvous(address, timeout=_WAIT))
    _stores.append(store)
    if rank == 0:
        store.set(_KEY, choose())
    return str(store.get(_KEY).decode())


def _launched(devices: object, nodes: object) -> ClusterEnvironment | None:
    """What has started this process as one of several, in the order in which Lightning seeks it; None for nothing."""
    if own_environment(devices, nodes) is not None:
        return None
    if tasks_started() > 1 and SLURMEnvironment.detect():
        return SLURMEnvironment()
    return TorchElasticEnvironment() if TorchElasticEnvironment.detect() else None
