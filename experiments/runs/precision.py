"""In which precision a training computes: bfloat16 pays only where the processor has it."""

from __future__ import annotations

from functools import cache
from time import process_time

import torch
from torch import nn

BF16, FLOAT32 = "bf16-mixed", "32-true"
OPTION = "--trainer.precision"
CHOSEN = "BACKDROP_PRECISION"
"""The variable in which the first of several processes tells its choice to those that it starts: measurements vary."""
MOST = 1.5
"""How much longer bfloat16 may take than float32; without support for it, it takes some forty times as long."""
_TIMES = 5


def on_processor(accelerator: object) -> bool:
    """Whether a training runs on the processor.

    Args:
        accelerator: The trainer's setting of that name.
    """
    return accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())


def slow_bf16(accelerator: object) -> float | None:
    """Whether a training in bfloat16 would be slow here, found by a measurement of some hundredths of a second.

    Args:
        accelerator: The trainer's setting of that name.

    Returns:
        How many times as long as in float32 a convolution takes in bfloat16, where that is more than :data:`MOST`; None
        where it is not, or where the training does not run on the processor.
    """
    if not on_processor(accelerator):
        return None
    ratio = cost_of_bf16()
    return ratio if ratio > MOST else None


@cache
def cost_of_bf16() -> float:
    """The processor time of a convolution, forwards and backwards, in bfloat16 over that in float32."""
    return _seconds(torch.bfloat16) / _seconds(torch.float32)


def _seconds(dtype: torch.dtype) -> float:
    """The least processor time of several tries, on tensors of its own: no random number is drawn."""
    with torch.random.fork_rng(devices=[]):
        layer = nn.Conv2d(32, 32, 3, padding=1, dtype=dtype)
    frames = torch.ones(2, 32, 32, 32, dtype=dtype)
    tries = []
    for _ in range(_TIMES):
        begin = process_time()
        layer(frames).sum().backward()
        tries.append(process_time() - begin)
    return min(tries)
