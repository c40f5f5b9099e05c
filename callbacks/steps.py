"""What a step has returned and the batch it was given, as callbacks see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from backdrop.contracts import Batch, StepOutput


def step(outputs: object, batch: object) -> tuple[StepOutput, Batch] | None:
    """The step output and its batch; None where a module or its data keep to no contract of ours.

    Args:
        outputs: What the step has returned.
        batch: What the data module has yielded.
    """
    if isinstance(outputs, Mapping) and isinstance(batch, Mapping) and "image" in batch:
        return cast(StepOutput, outputs), cast(Batch, batch)
    return None
