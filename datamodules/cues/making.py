"""Training targets for data modules: what they need is loaded only where targets are made."""

from __future__ import annotations

from datamodules.clips.planes import Producer


def target_producer(features: str = "auto") -> Producer:
    """What makes the training targets of a clip.

    Args:
        features: See :class:`datamodules.cues.targets.Targets`.

    Raises:
        ValueError: If there is no such network.
    """
    from datamodules.cues.features import chosen, resolved
    from datamodules.cues.targets import Targets  # loads OR-tools, which nothing else needs

    chosen(features)
    return Targets(features=resolved(features))


def features_sentence(features: str) -> str:
    """Where the features of the targets come from, in words.

    Args:
        features: As for :func:`target_producer`.
    """
    from datamodules.cues.features import sentence

    return sentence(features)


def features_name(features: str) -> str:
    """What gives the features of the targets on this machine, by name.

    Args:
        features: As for :func:`target_producer`.
    """
    from datamodules.cues.features import resolved

    return resolved(features)
