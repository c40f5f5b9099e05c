"""What a data module can make of a clip: the kinds of background plates, and training targets."""

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


def target_producer(features: str = "auto") -> Producer:
    """What makes the training targets of a clip; its minimum cut is a package that nothing else loads.

    Args:
        features: See :class:`datamodules.cues.targets.Targets`.

    Raises:
        ValueError: If there is no such network.
    """
    from datamodules.cues.features import chosen
    from datamodules.cues.targets import Targets

    chosen(features)
    return Targets(features=features)


def features_sentence(features: str) -> str:
    """Where the features of the targets come from, in words."""
    from datamodules.cues.features import sentence

    return sentence(features)
