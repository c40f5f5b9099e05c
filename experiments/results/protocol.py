"""The protocol of a measurement: how it was measured, which must agree before two results may stand in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from backdrop.settings import Role
from experiments.results.record import MadeBy, Results
from experiments.runs.settings import role

PART = ("held_out", "evaluated_part")
"""Arguments of the data module that say in common which part of the clips is scored."""


def data_arguments(made_by: MadeBy, of: Role) -> dict[str, Any]:
    """The arguments of the data module with one role.

    Args:
        made_by: What made some results.
        of: The role.
    """
    arguments = made_by.data.get("init_args") or {}
    config = {"data": made_by.data}
    return {name: value for name, value in arguments.items() if role(f"data.init_args.{name}", config) is of}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How something was measured; None is not known, and differs from nothing.

    Attributes:
        data: Name of the data set.
        threshold: The fixed threshold.
        thresholds: Those among which the best was sought.
        part: Which part of the clips was scored.
        clips: Names of the clips.
        frames: Number of scored frames.
        image_size: Size of the true masks, (height, width).
        subjects: Most subjects that were looked for in a frame.
        data_settings: Further settings of the data that decide what is scored.
        transductive: Whether clips are tested on that were trained on.
        protocol: ``davis`` where the figures are those of DAVIS, else ``usual``.
    """

    data: str | None = field(metadata={"words": "data set"})
    threshold: float | None = field(metadata={"words": "fixed threshold"})
    thresholds: list[float] | None = field(metadata={"words": "thresholds of the best"})
    part: str
    clips: list[str]
    frames: float | None = field(metadata={"words": "scored frames"})
    image_size: list[int] | None = field(metadata={"words": "image size"})
    subjects: int
    data_settings: Mapping[str, Any]
    transductive: bool | None
    protocol: str

    @classmethod
    def of(cls, results: Results) -> Protocol:
        """The protocol of some results."""
        settings, data = results.made_by.settings, data_arguments(results.made_by, Role.MEASUREMENT)
        held_out, part = (data.pop(name, None) for name in PART)
        return cls(
            data=settings.data,
            threshold=settings.threshold,
            thresholds=settings.thresholds,
            part=f"{part or 'held_out'} at {held_out}" if held_out else "whole clips",
            clips=sorted(results.clips),
            frames=results.numbers.get("frames"),
            image_size=data.pop("image_size", None),
            subjects=settings.subjects or 1,
            data_settings=data,
            transductive=settings.transductive,
            protocol=settings.protocol or "usual",
        )

    def differences(self, other: Protocol) -> list[str]:
        """What differs from another protocol, in words."""
        before, after = self._known(), other._known()
        return [_difference(name, before[name], after[name]) for name in before if _differs(name, before, after)]

    def _known(self) -> dict[str, Any]:
        """Everything that is known, by its name in words."""
        named = {one.metadata.get("words", one.name): getattr(self, one.name) for one in fields(self)}
        known = {name: value for name, value in named.items() if value is not None and name != "data_settings"}
        return {**known, **self.data_settings}


def _differs(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return name in after and before[name] != after[name]


def _difference(name: str, before: Any, after: Any) -> str:  # noqa: ANN401  settings of any type
    """Two values of a part of the protocol in a message."""
    if name == "clips":
        lost, new = sorted(set(before) - set(after)), sorted(set(after) - set(before))
        parts = [f"{', '.join(few[:3])} {'…' if len(few) > 3 else ''}".strip() for few in (lost, new)]
        return f"clips of the first only: {parts[0] or 'none'}, of the second only: {parts[1] or 'none'}"
    return f"{name} {before} and {after}"
