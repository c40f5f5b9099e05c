"""The score of a trained run: calibrated without labels, on frames with its subject and frames without."""

from __future__ import annotations

from pathlib import Path

from backdrop.program import program


def no_score(run: Path) -> str:
    """What to say of a run that has no score, in one sentence.

    Args:
        run: The run folder.
    """
    remedy = f"{program()} calibrate {run} gives it one, or says why not"
    return f"{run} has no score, so every frame counts as found: {remedy}."
