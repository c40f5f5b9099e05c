"""How config files make one configuration: where they are sought, and what of them describes the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from experiments.errors import RunError, UsageError

CONFIGS = Path(__file__).parent.parent / "configs"


def find_configs(arguments: Sequence[str]) -> list[str]:
    """Replace config names that are not files here by the shipped configs of that name.

    Args:
        arguments: Command-line arguments.

    Returns:
        The arguments, with ``base.yaml`` after ``--config`` (or ``-c``) made a full path where it is a shipped config.

    Raises:
        RunError: If a config is neither; the message lists the shipped data configs.
    """
    found: list[str] = []
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        head, name = ("--config=", argument[9:]) if argument.startswith("--config=") else ("", argument)
        if (head or previous in ("--config", "-c")) and not Path(name).exists():
            if not (CONFIGS / name).is_file():
                shipped = ", ".join(sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml")))
                raise RunError(f"There is no config {name}, neither here nor among the shipped ones ({shipped}).")
            name = str(CONFIGS / name)
        found.append(head + name)
    return found


def names(kind: str) -> list[str]:
    """The shipped configs of a kind, ``data`` or ``profile``."""
    if kind == "profile":
        return sorted(path.name for path in (CONFIGS / "profiles").iterdir() if path.is_dir())
    return sorted(path.stem for path in (CONFIGS / kind).glob("*.yaml"))


def model_and_data(profile: str, stage: str, data: str) -> dict[str, dict[str, Any]]:
    """What the shipped configs say of the networks and the frames, for commands that need no more.

    Args:
        profile: Size profile.
        stage: ``inpaint`` or ``segment``.
        data: Data config.

    Returns:
        ``init_args`` of ``model`` and ``data``, merged as for a training.

    Raises:
        UsageError: If there is no such data or profile.
    """
    for kind, name in (("data", data), ("profile", profile)):
        if name not in (shipped := names(kind)):
            raise UsageError(f"{kind} is {name}, expected one of {', '.join(shipped)}")
    merged: dict[str, dict[str, Any]] = {"model": {}, "data": {}}
    for file in (f"{stage}.yaml", f"data/{data}.yaml", f"profiles/{profile}/{stage}.yaml"):
        loaded = yaml.safe_load((CONFIGS / file).read_text())
        for part, settings in merged.items():
            settings.update((loaded.get(part) or {}).get("init_args") or {})
    return merged
