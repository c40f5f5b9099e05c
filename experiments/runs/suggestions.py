"""Commands that a message tells the user to run: whole ones, that can be pasted, in the form that the user types."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backdrop.program import MAKE, called, program
from experiments.runs.composition import INPAINTING, RECORDINGS, Stage, names

TARGETS: dict[Stage, str] = {"inpaint": "train-inpaint", "segment": "train-seg", "encoder": "pretrain-encoder"}
"""The Makefile's target of a single stage."""


def suggested(stages: Sequence[Stage], config: Mapping[str, Any], run: Path) -> str:
    """How to make a part of a run with the data and the profile of a config.

    Args:
        stages: What is to be trained.
        config: A merged config, of either stage.
        run: The run folder.

    Returns:
        ``make`` and its variables, ``train`` with its options, or ``fit`` where only stage 1 is to be trained, in
        backquotes; in words where the config is of the user's own making, which these do not know.
    """
    named = config.get("run") or {}
    if named.get("data") not in names("data") or named.get("profile") not in names("profile"):
        return f"`{program()} fit` with your own configs, for the {' and the '.join(stages)} stage, in {run}"
    words = _make(stages, config, run) if called() == MAKE else _command(stages, config, run)
    return f"`{' '.join(words)}`"


def prediction(run: Path, videos: Sequence[Path]) -> str:
    """How to predict with a run.

    Args:
        run: The run folder.
        videos: What it was trained on, if these are videos of the user; the first one, where make is called.

    Returns:
        The command, without backquotes.
    """
    if called() == MAKE:
        return " ".join([MAKE, "predict", _variable("RUN", run), _variable("INPUT", next(iter(videos), "VIDEO"))])
    return f"{program()} predict {shlex.quote(str(run))} {shlex.join(map(str, videos)) or 'VIDEOS'}"


def _variable(name: str, value: object) -> str:
    """A variable of the Makefile."""
    return f"{name}={shlex.quote(str(value).replace('$', '$$'))}"


def _make(stages: Sequence[Stage], config: Mapping[str, Any], run: Path) -> list[str]:
    """Targets and variables of the Makefile."""
    data, named = (config.get("data") or {}).get("init_args") or {}, config["run"]
    values = {
        "DATA": named["data"],
        "ROOT": data.get("root"),
        "CLIPS": " ".join(data.get("clips") or []),
        "RESOLUTION": data.get("resolution"),
        "PRESET": data.get("preset"),
        "HELD_OUT": data.get("held_out") or None,
        "PROFILE": named["profile"],
        "BACKGROUND": _background(data),
        "SEED": config.get("seed_everything"),
        "RUN": run,
    }
    usual = {"RESOLUTION": "480p", "PRESET": "handheld", "PROFILE": "small", "BACKGROUND": INPAINTING, "SEED": 0}
    variables = [
        _variable(variable, value)
        for variable, value in values.items()
        if value not in (None, "", usual.get(variable))
    ]
    return [MAKE, TARGETS[stages[0]] if len(stages) == 1 else "train", *variables]


def _command(stages: Sequence[Stage], config: Mapping[str, Any], run: Path) -> list[str]:
    """Words of a command of the program."""
    data, named = (config.get("data") or {}).get("init_args") or {}, config["run"]
    root, name, seed = data.get("root"), named["data"], config.get("seed_everything") or 0
    usually: dict[str, object] = {"clips": None, "resolution": "480p", "preset": "handheld", "held_out": 0.0}
    usually |= {"val_fraction": 0.0} if name in RECORDINGS and "segment" in stages else {}
    more = [
        word
        for setting, usual in usually.items()
        if (value := data.get(setting)) not in (None, usual)
        for word in (f"--data.init_args.{setting}", value if isinstance(value, str) else json.dumps(value))
    ]
    profile = [] if named["profile"] == "small" else ["--profile", named["profile"]]
    if "segment" not in stages:
        place = ["--data.init_args.root", root] if root else []
        own = ["--stage", "inpaint", "--data", name, "--profile", named["profile"], *place, *more]
        own += ["--seed_everything", seed] if seed else []
        words = ["fit", *own, "--trainer.default_root_dir", run / "inpaint"]
    else:
        place = [root] if name in RECORDINGS else ["--data", name, *(["--root", root] if root else [])]
        scene = ["--background", _background(data)] if _background(data) else []
        words = ["train", *place, "--run", run, *profile, *scene, *(["--seed", seed] if seed else [])]
        words += ["--", *more] if more else []
    return [*program().split(), *(shlex.quote(str(word)) for word in words)]


def _background(data: Mapping[str, Any]) -> str | None:
    """The background that the data were prepared for, where they were for one."""
    plates: str | None = data.get("plates")
    return "cues" if data.get("targets") else plates
