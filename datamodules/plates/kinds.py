"""The kinds of background plates that a data module can make."""

from __future__ import annotations

from typing import Literal

from datamodules.clips.planes import Producer
from datamodules.plates.evidence import EvidenceKind
from datamodules.plates.static import StaticPlate
from datamodules.plates.temporal import TemporalPlates

PlateKind = Literal["static", "temporal"]


def plate_producer(kind: PlateKind, evidence_kind: EvidenceKind = "appearance") -> Producer:
    """What makes the plates of a clip.

    Args:
        kind: ``static``: one plate for all of it; ``temporal``: one for each frame that it keeps.
        evidence_kind: See :class:`datamodules.plates.temporal.TemporalPlates`.
    """
    return StaticPlate() if kind == "static" else TemporalPlates(evidence_kind=evidence_kind)
