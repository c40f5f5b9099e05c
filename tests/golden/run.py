"""What the commands of a whole run compute: both stages of three steps on the demo, and the evaluation."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from experiments.cli import main
from tests.golden import compose, data, training
from tests.golden.files import digest

PACKAGES = tuple(dict.fromkeys((*training.PACKAGES, *data.PACKAGES, "pytorch-lightning", "torchmetrics")))
BACKGROUNDS = ("inpainting", "temporal")


def measure(background: str, folder: Path) -> dict[str, Any]:
    """Numbers that the run logs, its weights, scores, frames, and the names of the fields of its results."""
    with training.one_thread():
        for command in compose.commands_of_a_run(folder, background):
            assert main(command) == 0, command
    found: dict[str, Any] = {}
    for stage in ("inpaint", "segment"):
        weights = torch.load(folder / stage / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        found[f"{stage} weights"] = digest(list(weights.values()))
        found[f"{stage} logged"] = _table(folder / stage / "csv" / "metrics.csv")
    found["frames"] = _table(folder / "frames.csv")
    results = json.loads((folder / "results.json").read_text())
    found["fields"] = sorted(_fields(results))
    found["scores"] = {name: value for name, value in results.items() if name != "made_by"}
    return found


def _table(path: Path) -> list[str]:
    """The filled cells of a table, a text for each row."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [" ".join(f"{name}={value}" for name, value in sorted(row.items()) if value) for row in rows]


def _fields(results: object, path: str = "") -> Iterator[str]:
    """Names of fields, but for those of the settings of modules and trainer."""
    if not isinstance(results, dict) or path.endswith("_settings."):
        yield path[:-1]
    else:
        for name, value in results.items():
            yield from _fields(value, f"{path}{name}.")
