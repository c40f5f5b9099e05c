"""What a folder of runs holds: settings, curves, scores and pictures, as training and evaluation left them."""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from backdrop.documents import ends_whole, read_table
from backdrop.errors import RunError, one_line
from backdrop.program import program
from experiments.results.chosen import FRAMES
from experiments.results.record import RESULTS, Part, Results
from experiments.runs.csv_log import read_rows
from experiments.runs.folder import StageFolder

STAGES = ("inpaint", "segment")
NOT_ENTERED = ("wandb", "checkpoints", "images", "csv", "predictions")
"""Folders in which no run can lie, and which may be large."""

Points = list[tuple[int, float]]
Read = TypeVar("Read")


@dataclass
class Stage:
    """One stage of a run, as far as it could be read.

    Attributes:
        config: The merged config; empty where there is none.
        curves: (step, value) of every logged number, by its name.
    """

    config: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Points] = field(default_factory=dict)


@dataclass
class Run:
    """One run, as far as it could be read.

    Attributes:
        name: Its folder, seen from the folder of the report.
        folder: Its folder.
        stages: Its stages by name.
        results: What ``evaluate`` wrote, by the part that was evaluated.
        frames: J, or the overlap of the boxes, of every test frame, in no order.
        scored: Score and J of the test frames that have both.
        agree: Share of the frames trained on whose cues agree; None where it has not learnt from targets.
        unfinished: What is still to be done, one sentence each.
        problems: What could not be read, one sentence each.
    """

    name: str
    folder: Path
    stages: dict[str, Stage] = field(default_factory=dict)
    results: dict[Part, Results] = field(default_factory=dict)
    frames: list[float] = field(default_factory=list)
    scored: list[tuple[float, float]] = field(default_factory=list)
    agree: float | None = None
    unfinished: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def images(self) -> Path:
        """The folder of the test's pictures."""
        return StageFolder(self.folder / "segment").images


def find_runs(root: Path) -> list[Run]:
    """Read every run in a folder, which may be a run itself.

    Args:
        root: The folder.

    Returns:
        The runs, sorted by name; what cannot be read of one is among its problems.

    Raises:
        RunError: If the folder does not exist or holds no run.
    """
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise RunError(f"{root} {what}: give the folder that holds the runs, such as runs.")
    runs = [_read_run(folder, _name(folder, root)) for folder in _run_folders(root)]
    if not runs:
        raise RunError(
            f"{root} holds no run, that is no folder with results.json, inpaint/ or segment/: "
            f"`{program()} train VIDEOS --run {shlex.quote(str(root))}` makes one."
        )
    return sorted(runs, key=lambda run: run.name)


def _run_folders(root: Path) -> Iterator[Path]:
    """All folders that are runs, in and below a folder."""
    for path, folders, files in os.walk(root):
        stages = [name for name in STAGES if name in folders and _is_stage(StageFolder(Path(path) / name))]
        if stages or set(files) & {*RESULTS.values()}:
            yield Path(path)
        folders[:] = [name for name in folders if name not in (*stages, *NOT_ENTERED) and not name.startswith(".")]


def _is_stage(stage: StageFolder) -> bool:
    return stage.config_file.exists() or _curves_file(stage).exists()


def _curves_file(stage: StageFolder) -> Path:
    return stage.path / "csv" / "metrics.csv"


def _name(folder: Path, root: Path) -> str:
    return str(folder.relative_to(root)) if folder != root else root.resolve().name


def _read_run(folder: Path, name: str) -> Run:
    """Read one run; a broken file costs what it holds, no more."""
    run = Run(name, folder)

    def attempt(path: Path, read: Callable[[Path], Read], otherwise: Read) -> Read:
        try:
            return read(path) if path.exists() else otherwise
        except (OSError, ValueError, RunError) as error:
            run.problems.append(f"{path} cannot be read ({one_line(error)}); it is left out.")
            return otherwise

    for stage_name in STAGES:
        stage = StageFolder(folder / stage_name)
        if _is_stage(stage):
            config = attempt(stage.config_file, lambda path: StageFolder(path.parent).config(), dict[str, Any]())
            curves = attempt(_curves_file(stage), read_curves, dict[str, Points]())
            run.stages[stage_name] = Stage(config, curves)
    tables = [folder / FRAMES["held_out"], *(_curves_file(StageFolder(folder / name)) for name in run.stages)]
    for path in tables:
        if path.is_file() and not ends_whole(path):
            run.problems.append(f"{path} is cut off in its last line, which is left out.")
    for part, file in RESULTS.items():
        if (results := attempt(folder / file, Results.load, None)) is not None:
            run.results[part] = results
    nothing: tuple[list[float], list[tuple[float, float]]] = ([], [])
    run.frames, run.scored = attempt(folder / FRAMES["held_out"], read_frames, nothing)
    trust = attempt(StageFolder(folder / "segment").trust_file, lambda path: StageFolder(path.parent).trust(), None)
    run.agree = trust[0] if trust is not None else None
    for name in (name for name, found in run.stages.items() if found.config):
        state = attempt(folder / name, lambda path: StageFolder(path).unfinished(), None)
        run.unfinished += [f"Stage {name} is not finished: {state}."] if state else []
    if run.stages and "segment" not in run.stages:
        run.unfinished.append("Stage segment is not trained yet.")
    elif run.stages and not run.results:
        run.unfinished.append(f"It is not evaluated: {program()} evaluate {shlex.quote(str(folder))} does it.")
    return run


def read_curves(path: Path) -> dict[str, Points]:
    """Read a stage's CSV log.

    Args:
        path: ``csv/metrics.csv``.

    Returns:
        (step, value) by logged name, in the order of the file; what is not finite is left out.

    Raises:
        ValueError: If the file is damaged, or a cell is no number.
    """
    curves: dict[str, Points] = {}
    for row in read_rows(path, sys.maxsize):
        for name, text in row.items():
            if name not in ("step", "epoch") and math.isfinite(value := float(text)):
                curves.setdefault(name, []).append((int(row["step"]), value))
    return curves


def read_frames(path: Path) -> tuple[list[float], list[tuple[float, float]]]:
    """Read the measure of each test frame.

    Args:
        path: ``frames.csv``.

    Returns:
        J of the frames, or where no frame has a mask, the overlap of the boxes; and score and J of those that have
        both.

    Raises:
        ValueError: If the table is another one.
    """
    heads, rows = read_table(path, errors="surrogateescape", unfinished=True)
    if not {"j", "box_iou"} <= set(heads):
        raise ValueError("it has no columns j and box_iou")
    found = [[float(row[name]) for _, row in rows if row[name]] for name in ("j", "box_iou")]
    scored = [(float(row["score"]), float(row["j"])) for _, row in rows if row.get("score") and row["j"]]
    if not all(0 <= value <= 1 for values in (*found, *scored) for value in values):
        raise ValueError("a measure is no share")
    return found[0] or found[1], scored
