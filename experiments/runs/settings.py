"""What a run is called: the part of the config that belongs to no module."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass
class RunSettings:
    """Names of a run, as they appear in its folder and in W&B.

    Args:
        stage: ``inpaint`` (stage 1) or ``segment`` (stage 2); the W&B job type.
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
        inpainter_commits: Those that trained the stage-1 checkpoint, as far as its folder says so.
        inpainter_command: What was typed to train that.
        inpainter_steps: How long that was trained.
    """

    stage: Literal["inpaint", "segment"]
    data: str = "custom"
    profile: str = "custom"
    project: str = "backdrop"
    tags: list[str] = field(default_factory=list)
    setting: str | None = None
    id: str | None = None
    inpainter_sha256: str | None = None
    commits: list[str] = field(default_factory=list)
    command: str | None = None
    inpainter_commits: list[str] = field(default_factory=list)
    inpainter_command: str | None = None
    inpainter_steps: int | None = None
