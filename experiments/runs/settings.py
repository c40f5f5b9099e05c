"""The settings of a run: what it is called, and what every setting of its config is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from backdrop import settings
from backdrop.settings import Measurement, Place, Role


@dataclass
class RunSettings:
    """Names of a run, as they appear in its folder and in W&B.

    Args:
        stage: ``inpaint`` (stage 1), ``segment`` (stage 2) or ``encoder`` (before it); the W&B job type.
        data: Name of the data set; the W&B group.
        profile: Name of the size profile; a W&B tag.
        project: W&B project.
        tags: Further W&B tags.
        setting: What a sweep varies in this run, or which ablation it is, in short: its name in tables.
        id: W&B run id; drawn by the first call and kept when the run is resumed.
        inpainter_sha256: Check sum of the stage-1 checkpoint; filled in by the command line, as are all that follow.
        commits: Commits of the source that trained the run, ``-dirty`` behind one whose tree had changed files; several
            where it was resumed with another one, none outside a repository.
        command: What was typed to train the run; where it was resumed, the last time.
        threads: With how many threads a process of the training computes on the CPU.
        inpainter_commits: Those that trained the stage-1 checkpoint, as far as its folder says so.
        inpainter_command: What was typed to train that.
        inpainter_steps: How long that was trained.
    """

    stage: Literal["inpaint", "segment", "encoder"]
    data: Measurement[str] = "custom"
    profile: str = "custom"
    project: Place[str] = "backdrop"
    tags: Place[list[str]] = field(default_factory=list)
    setting: Place[str | None] = None
    id: Place[str | None] = None
    inpainter_sha256: str | None = None
    commits: Place[list[str]] = field(default_factory=list)
    command: Place[str | None] = None
    threads: Place[int | None] = None
    inpainter_commits: Place[list[str]] = field(default_factory=list)
    inpainter_command: Place[str | None] = None
    inpainter_steps: Place[int | None] = None


LIMITS = ("max_steps", "max_epochs")
"""How long the trainer trains: a finished training may be prolonged."""

DECIDING = (
    "precision",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "accumulate_grad_batches",
    "overfit_batches",
)
"""Further settings of Lightning's trainer, a foreign class, that decide the weights. All others are of the place."""


def role(name: str, config: Mapping[str, Any]) -> Role:
    """What a setting of a config is of.

    Args:
        name: Its name, such as ``data.init_args.image_size``.
        config: The config, or its part: the ``class_path`` beside the setting says whose it is.
    """
    part, _, rest = name.partition(".")
    if part == "trainer":
        return Role.TRAINING if rest in (*LIMITS, *DECIDING) else Role.PLACE
    if part == "run":
        return settings.role(RunSettings, rest)
    if part == "ckpt_path":
        return Role.PLACE
    kind, argument, arguments = _argument(name, config)
    return Role.TRAINING if kind is None else settings.role(kind, argument, arguments)


def _argument(name: str, config: Mapping[str, Any]) -> tuple[type | None, str, Mapping[str, Any]]:
    """The class that a setting is an argument of, its name there, and the other arguments."""
    part, _, argument = name.partition(".init_args.")
    described = config.get(part)
    if not argument or not isinstance(described, Mapping) or "class_path" not in described:
        return None, argument, {}
    return settings.import_class(described["class_path"]), argument, described.get("init_args") or {}


def own_name(name: str) -> str:
    """A setting's name in short, which no other setting has.

    Args:
        name: Its dotted name, such as ``model.init_args.detector.s_min``.

    Returns:
        The last part, ``s_min``; a single word, which several groups may have, with those of its groups:
        ``mask_prior_level``, ``background_estimator_samples``.
    """
    *groups, own = (part for part in name.split(".") if part != "init_args")
    return own if "_" in own else "_".join([*groups[1:], own])
