"""Commands that a message tells the user to run: whole ones, that can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.runs.composition import INPAINTING, names


def make_command(targets: str, config: Mapping[str, Any], run: Path) -> str:
    """How to make a part of a run with the data and the profile of a config.

    Args:
        targets: Targets of the Makefile, such as ``train-inpaint``.
        config: A merged config, of either stage.
        run: The run folder.

    Returns:
        ``make`` and its variables, in backquotes; in words where the config is of the user's own making, which make
        does not know.
    """
    named = config.get("run") or {}
    data = (config.get("data") or {}).get("init_args") or {}
    name, profile = named.get("data"), named.get("profile")
    if name not in names("data") or profile not in names("profile"):
        return f"`python -m experiments fit` with your own configs, as far as `make {targets}` would go, in {run}"
    values = {
        "DATA": name,
        "ROOT": data.get("root"),
        "CLIPS": " ".join(data.get("clips") or []),
        "RESOLUTION": data.get("resolution"),
        "PRESET": data.get("preset"),
        "HELD_OUT": data.get("held_out") or None,
        "PROFILE": profile,
        "BACKGROUND": data.get("plates"),
        "SEED": config.get("seed_everything"),
        "RUN": run,
    }
    usual = {"RESOLUTION": "480p", "PROFILE": "small", "BACKGROUND": INPAINTING, "SEED": 0}
    words = [
        f"{variable}={shlex.quote(str(value).replace('$', '$$'))}"
        for variable, value in values.items()
        if value not in (None, "", usual.get(variable))
    ]
    return f"`make {targets} {' '.join(words)}`"
