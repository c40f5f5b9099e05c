"""Which masks become labels, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass

from backdrop.errors import RunError, UsageError
from backdrop.found import LIMIT, Found
from experiments.labels.frame import Subject

EMPTY = "empty mask"


@dataclass(frozen=True)
class Choice:
    """Leaves out what is empty or doubtful.

    Attributes:
        threshold: Mask values from here on are the subject, in (0, 1).
        min_score: Lowest score of a label, in [0, 1]; None takes 0.5, the limit that the training found, and everything
            where the run was not calibrated.

    Raises:
        UsageError: If one is out of its range.
    """

    threshold: float = 0.5
    min_score: float | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 0 < self.threshold < 1:
            raise UsageError(f"The threshold is {self.threshold}, expected a number between 0 and 1.")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise UsageError(f"The least score is {self.min_score}, expected a number from 0 to 1.")

    def __call__(self, found: Found) -> Subject | str:
        """Judge a mask.

        Args:
            found: What the model says.

        Returns:
            The subject, or why it is left out.

        Raises:
            RunError: If a score is asked for and the model gives none.
        """
        least = LIMIT if self.min_score is None else self.min_score
        if found.score is None and self.min_score is not None:
            raise RunError("The run has no score, as it was never calibrated: leave --min-score out.")
        if found.score is not None and found.score < least:
            return f"score below {least:g}"
        mask = found.mask >= self.threshold
        return Subject(mask, found.score) if mask.any() else EMPTY
