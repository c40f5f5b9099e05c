"""A sweep's file, in W&B's format: which settings its trials have."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from backdrop.errors import RunError, one_line
from experiments.trials.recipe import CLIPS

SWEEPS = Path(__file__).parent.parent / "sweeps"
OURS = ["${env}", "${interpreter}", "-m", "experiments", "trial"]
EACH = "each"
"""In place of the values of ``data.init_args.clips``: a model for each clip. W&B's own program cannot do that."""


def find_sweep(name: str) -> Path:
    """A sweep's file.

    Args:
        name: Its path, or the name of a shipped one, with or without its suffix.

    Raises:
        RunError: If there is none; the message lists the shipped ones.
    """
    for path in (Path(name), SWEEPS / name, SWEEPS / f"{name}.yaml"):
        if path.is_file():
            return path
    shipped = ", ".join(sorted(path.stem for path in SWEEPS.glob("*.yaml")))
    raise RunError(f"There is no sweep {name}, neither here nor among the shipped ones ({shipped}).")


def load_sweep(path: Path) -> dict[str, Any]:
    """Read a sweep's file, in the format that ``wandb sweep`` reads.

    Args:
        path: The file.

    Returns:
        Its content; ``parameters`` is a mapping that is not empty.

    Raises:
        RunError: If it cannot be read or names no parameters.
    """
    try:
        sweep = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"The sweep {path} cannot be read ({one_line(error)}): give a W&B sweep file.") from error
    parameters = sweep.get("parameters") if isinstance(sweep, dict) else None
    if not isinstance(parameters, dict) or not parameters:
        raise RunError(f"The sweep {path} names no parameters: give a W&B sweep file.")
    found: dict[str, Any] = sweep
    return found


def read_sweep(path: Path) -> dict[str, Any]:
    """Read a sweep of ours.

    Args:
        path: The file, in the format that ``wandb sweep`` reads, but for :data:`EACH`.

    Returns:
        Its ``parameters`` and ``command``.

    Raises:
        RunError: If it cannot be read, is no grid, or its command is not ``experiments trial``.
    """
    sweep = load_sweep(path)
    if sweep.get("method") != "grid":
        raise RunError(f"The sweep {path} has no `method: grid`: other methods are for `wandb sweep`.")
    command = sweep.get("command")
    if not isinstance(command, list) or command[: len(OURS)] != OURS or command[-1] != "${args}":
        raise RunError(f"The command of {path} must begin with {' '.join(OURS)} and end with ${{args}}.")
    for name, given in sweep["parameters"].items():
        kinds = {"value", "values"} & given.keys() if isinstance(given, dict) else set()
        listed = kinds == {"values"} and isinstance(given["values"], list) and given["values"]
        if not (kinds == {"value"} or listed or (name == CLIPS and given == {"values": EACH})):
            raise RunError(f"The parameter {name} of {path} needs a `value` or a list of `values`.")
    return sweep


def grid(parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str]]:
    """Every combination of a sweep's parameters, as W&B gives them to a command.

    Args:
        parameters: By name, each with a ``value`` or ``values``; of two the latter changes faster.

    Yields:
        Words in place of ``${args}``.
    """
    choices = [given["values"] if "values" in given else [given["value"]] for given in parameters.values()]
    for values in itertools.product(*choices):
        yield [f"--{name}={value}" for name, value in zip(parameters, values, strict=True)]


def without(words: Sequence[str], names: Collection[str]) -> list[str]:
    """A command line without some options.

    Args:
        words: Words, ``--name=value`` or ``--name value``.
        names: Options, ``--name``.

    Returns:
        The other words.
    """
    left, dropped = [], False
    for word in words:
        if word.startswith("--"):
            dropped = word.partition("=")[0] in names
        left += [] if dropped else [word]
    return left
