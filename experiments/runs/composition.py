"""How config files make one configuration: where they are sought, and what of them describes the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from pytorch_lightning.cli import LightningArgumentParser

import datamodules  # noqa: F401  (importing makes the short class names known)
from experiments.errors import RunError

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


def data_parser(command: str) -> LightningArgumentParser:
    """A parser for commands that are configured as ``fit`` is, but need the data only.

    Args:
        command: Name of the command.

    Returns:
        The parser: ``data`` is as for ``fit``; run, model and trainer are accepted and need not be complete.
    """
    parser = LightningArgumentParser(
        prog=f"python -m experiments {command}", description=f"{command}: options as for fit", exit_on_error=False
    )
    parser.add_argument("-c", "--config", action="config", help="config file; later ones win")
    parser.add_subclass_arguments(pl.LightningDataModule, "data", required=True)
    for part in ("run", "model", "trainer"):
        parser.add_argument(f"--{part}", type=dict[str, Any], default={}, help="as for fit; need not be complete")
    parser.add_argument("--seed_everything", type=Any, default=0, help="not looked at")
    return parser


def build_data(command: str, arguments: Sequence[str]) -> pl.LightningDataModule:
    """Build the data module that the command line describes.

    Args:
        command: Name of the command.
        arguments: What follows it.

    Returns:
        The data module.

    Raises:
        ArgumentError: If the settings do not fit.
        RunError: If a config does not exist.
    """
    parser = data_parser(command)
    data: pl.LightningDataModule = parser.instantiate_classes(parser.parse_args(find_configs(arguments))).data
    return data


def model_and_data(profile: str, stage: str, data: str) -> dict[str, dict[str, Any]]:
    """What the shipped configs say of the networks and the frames, for commands that need no more.

    Args:
        profile: Size profile.
        stage: ``inpaint`` or ``segment``.
        data: Data config.

    Returns:
        ``init_args`` of ``model`` and ``data``, merged as for a training.
    """
    merged: dict[str, dict[str, Any]] = {"model": {}, "data": {}}
    for file in (f"{stage}.yaml", f"data/{data}.yaml", f"profiles/{profile}/{stage}.yaml"):
        loaded = yaml.safe_load((CONFIGS / file).read_text())
        for part, settings in merged.items():
            settings.update((loaded.get(part) or {}).get("init_args") or {})
    return merged
