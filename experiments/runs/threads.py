"""With how many threads a training computes: their number decides the order of its sums, and so its weights."""

from __future__ import annotations

import torch

from backdrop.errors import RunError, warn
from backdrop.processor import cores


def keep_threads(begun: int | None) -> int:
    """Let a training compute with as many threads as it began with, as far as there are cores; say where that changes.

    Args:
        begun: How many; None where its config does not say.

    Returns:
        How many it computes with now.

    Raises:
        RunError: If that is no number of threads.
    """
    if begun is not None and (type(begun) is not int or begun < 1):
        raise RunError(f"run.threads in the config of this training is {begun!r}, expected 1 or more: mend it there.")
    now, most = torch.get_num_threads(), len(cores())
    if begun is None or begun == now:
        return now
    if begun > most:
        warn(
            f"This training began with {begun} threads, more than the cores that it may use now, {most}: it goes on "
            f"with {now}, whose sums come in another order, so that its weights are not to the last digit those of a "
            "whole training."
        )
        return now
    torch.set_num_threads(begun)
    warn(f"This training goes on with as many threads as it began with, {begun}: its weights depend on their number.")
    return begun
