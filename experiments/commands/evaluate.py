"""``python -m experiments evaluate RUN``: score a trained run on its test clips."""

from __future__ import annotations

import datetime
import json
import math
import re
import shlex
import sys
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import yaml
from rich.console import Console
from rich.table import Table

from backdrop.files import sha256, write_text
from callbacks import MaskImages, MaskMetrics
from datamodules import FramesDataModule
from experiments.errors import CommandParser, RunError, one_line, warn
from experiments.results.chosen import FRAMES, draw_chosen, write_frames
from experiments.results.timing import time_inference
from experiments.runs import provenance
from experiments.runs.folder import StageFolder, load_checkpoint
from experiments.runs.progress import progress_bar
from experiments.runs.restore import load_data, load_model, segment_folder
from experiments.runs.settings import DECIDING
from experiments.signatures import Words

Part = Literal["held_out", "trained"]
RESULTS: dict[Part, str] = {"held_out": "results.json", "trained": "results_trained.json"}
COLUMNS = ("j_mean", "f_measure", "precision", "recall", "boundary_f", "hit_rate")
TITLES = dict(zip(COLUMNS, ("J", "F", "P", "R", "boundary F", "hit rate"), strict=True))
SUBJECT_COLUMNS = {
    "subject_j": "J of each",
    "subject_recall": "recall",
    "average_precision": "AP",
    "count_accuracy": "count right",
    "subjects_found": "found",
    "subjects_there": "there",
}
TRAINED_BY = ("commits", "command", "inpainter_commits", "inpainter_command")
LABELS_USED = "none in training; best_* uses test labels to choose a threshold"
TUNED = "; the small profile's settings were tuned with labels of the demo's validation clips"
TUNED_SUBJECTS = "; how several subjects are told apart was chosen with labels of the demo's validation clips"
TUNED_PLATES = " and, against plates, tried on eight DAVIS-2016 clips with their labels"


class NothingToScore(RunError):
    """The test clips have no annotation; pictures of them are drawn all the same."""


def evaluate(
    run: Path,
    checkpoint: Literal["last", "best"] = "last",
    command: str = "",
    together: MaskMetrics | None = None,
    part: Part = "held_out",
    subjects: int = 1,
    data_settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run the test loop on one device and write ``RUN/results.json``, see :func:`results_file`.

    Beside it go ``frames.csv`` with the measures of each frame, and ``test_frames.png`` among the stage's pictures with
    the best, the median and the worst frames.

    Args:
        run: The run folder.
        checkpoint: ``last`` or ``best`` (smallest validation loss, a quantity without labels).
        command: What the user typed, for the record.
        together: Measures of several runs, to which the frames of this one are added.
        part: Of clips of which the end was held out from training, that end, or what was trained on.
        subjects: Most subjects to find in a frame.
        data_settings: Arguments of the data module that differ from those of the training.

    Returns:
        What was written: the numbers of :class:`callbacks.MaskMetrics`, and ``made_by``.

    Raises:
        NothingToScore: If its test split has no annotation; the pictures are drawn before.
        RunError: If the run is not complete.
    """
    folder = segment_folder(run)
    config = folder.config()
    _warn_of_another_painter(run, folder, config)
    config = _with_data(_of_part(config, part), data_settings or {})
    others = _others(subjects, data_settings or {})
    images = folder.images / others if others else folder.images
    seed = int(config.get("seed_everything") or 0)
    pl.seed_everything(seed, workers=True, verbose=False)
    model = load_model(folder, checkpoint, subjects)
    data = load_data(config)
    metrics = MaskMetrics()
    trainer = tester([metrics, MaskImages(directory=str(images))], folder.path)
    trainer.test(model, datamodule=data, verbose=False)
    if not metrics.results:
        raise NothingToScore(
            f"The test clips of {run} have no masks or boxes: nothing to score; pictures of them are in "
            f"{images / 'test_sheet.png'}."
        )
    if together is not None:
        together.merge(metrics)
    made_by = _made_by(folder, config, checkpoint, command)
    if isinstance(data, FramesDataModule) and not others:
        made_by |= time_inference(model.to(trainer.strategy.root_device), data) | {"timed_on": str(model.device)}
        model.cpu()
    made_by["labels_used"] += TUNED_SUBJECTS if subjects > 1 else ""
    made_by["settings"] |= {
        "subjects": subjects,
        "transductive": data.transductive if isinstance(data, FramesDataModule) else None,
        "threshold": metrics.threshold,
        "thresholds": metrics.test.levels,
    }
    results = {**metrics.results, "made_by": made_by}
    if not others:  # of the variants of a run there are but the numbers and the sheet
        frames = metrics.test.frames()
        draw_chosen(model, data, frames, images / "test_frames.png")
        write_frames(run / FRAMES[part], frames)
    write_results(results_file(run, part, subjects, data_settings), results)
    return results


def tester(callbacks: Sequence[pl.Callback], folder: Path) -> pl.Trainer:
    """The trainer of all test loops: one device, float32, no logger, with progress.

    Args:
        callbacks: What measures and draws.
        folder: Its default folder.
    """
    return pl.Trainer(
        accelerator="auto",
        devices=1,  # several devices would repeat frames to fill up
        precision="32-true",
        logger=False,
        callbacks=[*callbacks, progress_bar()],
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def results_file(
    run: Path, part: Part = "held_out", subjects: int = 1, data_settings: Mapping[str, Any] | None = None
) -> Path:
    """Where the numbers of an evaluation are written.

    Args:
        run: The run folder.
        part: See :func:`evaluate`, as for all.
        subjects: Most subjects to find in a frame.
        data_settings: Arguments of the data module that differ from those of the training.

    Returns:
        ``results.json`` or ``results_trained.json``; what differs from the training and the default is in the name, as
        in ``results_subjects-2_figures-2.json``.
    """
    path, others = run / RESULTS[part], _others(subjects, data_settings or {})
    return path.with_stem(f"{path.stem}_{others}") if others else path


def _others(subjects: int, data_settings: Mapping[str, Any]) -> str:
    """What an evaluation does otherwise than the training and the default, as part of a file's name."""
    named = {**({"subjects": subjects} if subjects > 1 else {}), **data_settings}
    return re.sub(r"[^\w.-]+", "-", "_".join(f"{name}-{value}" for name, value in named.items()))


def _with_data(config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The config with other arguments of the data module."""
    data = config.get("data") or {}
    return {**config, "data": {**data, "init_args": {**(data.get("init_args") or {}), **settings}}}


def _setting(text: str) -> tuple[str, Any]:
    """A setting of the command line, NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals):
        raise ArgumentTypeError(f"{text} is no NAME=VALUE")
    return name, yaml.safe_load(value)


def _warn_of_another_painter(run: Path, folder: StageFolder, config: Mapping[str, Any]) -> None:
    """Say so where stage 1 of the run is no longer what stage 2 was trained over."""
    painter, known = StageFolder(run / "inpaint").last, (config.get("run") or {}).get("inpainter_sha256")
    given = ((config.get("model") or {}).get("init_args") or {}).get("inpainter_ckpt")
    its_own = given is None or (Path(given).name == painter.name and Path(given).parent.parent.name == "inpaint")
    if known is not None and its_own and painter.is_file() and sha256(painter) != known:
        warn(
            f"{painter.parent.parent} and {folder.path} no longer belong together: the painter was trained further, or "
            f"replaced, since; {folder.path.name} holds its own, so the numbers are those of the older one."
        )


def _of_part(config: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """The config that evaluates one part of the clips."""
    arguments = (config.get("data") or {}).get("init_args") or {}
    if part == "held_out":
        return dict(config)
    if not arguments.get("held_out"):
        raise RunError("Nothing was held out when this run was trained: leave --part out.")
    return {**config, "data": {**config["data"], "init_args": {**arguments, "evaluated_part": part}}}


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write the numbers as JSON.

    Args:
        path: The file.
        results: The numbers and what made them.
    """
    write_text(path, json.dumps(_plain(results), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Numbers that do not exist (the hit rate of a clip without subject) as null, which is all that JSON knows."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _made_by(folder: StageFolder, config: Mapping[str, Any], checkpoint: str, command: str) -> dict[str, Any]:
    """The record of what made the numbers."""
    path = folder.checkpoints / f"{checkpoint}.ckpt"
    data, run = config.get("data") or {}, config.get("run") or {}
    model, trainer = (config.get("model") or {}).get("init_args") or {}, config.get("trainer") or {}
    return {
        **({"setting": run["setting"]} if run.get("setting") is not None else {}),
        "command": command,
        **provenance.commit(),  # of the evaluation
        "trained_by": {name: run.get(name) for name in TRAINED_BY},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": config.get("seed_everything"),
        "settings": {
            "data": run.get("data"),
            "profile": run.get("profile"),
            "scale": (data.get("init_args") or {}).get("scale"),
            "mode": model.get("mode"),
            "data_settings": data,
            "model_settings": {name: value for name, value in model.items() if name != "inpainter_ckpt"},
            "checkpoint": str(path),
            "checkpoint_sha256": sha256(path),
            "steps": load_checkpoint(path)["global_step"],
            "inpainter_steps": run.get("inpainter_steps"),
            "trainer_settings": {name: trainer.get(name) for name in DECIDING if name != "precision"},
            "training_precision": trainer.get("precision"),
            "evaluation_precision": "32-true",
        },
        "versions": provenance.versions(),
        "labels_used": LABELS_USED + _tuned(config),
    }


def _tuned(config: Mapping[str, Any]) -> str:
    """What labels the settings of a config were tuned with, in words."""
    if (config.get("run") or {}).get("profile") != "small":
        return ""
    background = ((config.get("model") or {}).get("init_args") or {}).get("background")
    return TUNED + (TUNED_PLATES if background in ("static", "temporal") else "")


def table(results: Mapping[str, Any]) -> Table:
    """The numbers as a table: the model, the trivial floors, the clips.

    Args:
        results: What :func:`evaluate` returns.

    Returns:
        A rich table.
    """
    made = results["made_by"]["settings"]
    shown = Table(title=f"{made['data']} ({made['profile']}), {_frames(results)}, mean over clips")
    shown.add_column("")
    shown.add_column("threshold", justify="right")
    for name in COLUMNS:
        shown.add_column(TITLES[name], justify="right")
    shown.add_column("AP", justify="right")
    named = {"model": results, **{name.replace("_", " "): floor for name, floor in results["floors"].items()}}
    for name, numbers in named.items():
        add_rows(shown, name, numbers, [cell(numbers.get("average_precision"))])
    shown.add_section()
    for name, numbers in results["clips"].items():
        _add_fixed(shown, name, numbers, [cell(numbers.get("average_precision"))])
    return shown


def subjects_table(results: Mapping[str, Any]) -> Table:
    """What was found of several subjects, as a table.

    Args:
        results: What :func:`evaluate` returns for more than one subject.

    Returns:
        A rich table.
    """
    several = results["subjects"]
    shown = Table(title=f"up to {results['made_by']['settings']['subjects']} subjects in a frame")
    shown.add_column("")
    for title in ("J of the union", *SUBJECT_COLUMNS.values()):
        shown.add_column(title, justify="right")
    for name, union, numbers in [
        ("model", results, several),
        *((name, results["clips"][name], numbers) for name, numbers in several["clips"].items()),
    ]:
        shown.add_row(name, cell(union.get("j_mean")), *(cell(numbers.get(column)) for column in SUBJECT_COLUMNS))
    return shown


def show(path: Path, results: Mapping[str, Any]) -> None:
    """Print the table, and where the numbers are.

    Args:
        path: Where they were written.
        results: What :func:`evaluate` returns.
    """
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table(results))
    if "subjects" in results:
        console.print(subjects_table(results))
    print(f"best rows: {LABELS_USED.split('; ')[1]}")
    if results["made_by"]["settings"]["transductive"]:
        print("transductive: the model was trained on the frames that are scored, never on their masks")
    print(f"numbers: {path}")


def _frames(results: Mapping[str, Any]) -> str:
    """How many frames were scored, in words; where few of them have a mask, how many do."""
    frames, masks = results["frames"], results["masks"]
    return f"{frames} test frames" if masks == frames else f"{frames} test frames, {masks} of them with a mask"


def _add_fixed(shown: Table, name: str, numbers: Mapping[str, Any], more: Sequence[str]) -> None:
    """The fixed threshold."""
    shown.add_row(name, "0.50" if numbers["masks"] else "", *(cell(numbers.get(column)) for column in COLUMNS), *more)


def add_rows(shown: Table, name: str, numbers: Mapping[str, Any], more: Sequence[str]) -> None:
    """Add the line of the fixed threshold and, where there are masks, that of the best of the grid.

    Args:
        shown: The table: name, threshold, :data:`COLUMNS`, and further columns.
        name: What was measured.
        numbers: Its numbers.
        more: Further cells of the first line.
    """
    _add_fixed(shown, name, numbers, more)
    if "best_threshold" in numbers:
        best = f"best {numbers['best_threshold']:.2f}"
        shown.add_row("", best, *(cell(numbers.get(f"best_{column}")) for column in COLUMNS), *("" for _ in more))


def cell(value: float | None) -> str:
    """A number in a table; empty where there is none."""
    return "" if value is None or value != value else f"{value:.3f}"


def argument_parser() -> CommandParser:
    """The options of ``evaluate``."""
    parser = CommandParser(prog="python -m experiments evaluate", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder, such as runs/demo")
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last", help="best: smallest val/loss")
    part = "of clips of which an end was held out, that end, or the part that was trained on"
    parser.add_argument("--part", choices=tuple(RESULTS), default="held_out", help=part)
    parser.add_argument("--subjects", type=int, default=1, help="most subjects to find in a frame (1, the paper's)")
    other = "an argument of the data module that differs from that of the training, such as figures=2; may come again"
    parser.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help=other)
    return parser


def main(arguments: Words) -> int:
    """The command ``evaluate``.

    Args:
        arguments: What follows the command's name.

    Returns:
        Exit code.
    """
    options = argument_parser().parse_args(arguments)
    command = shlex.join(["python", "-m", "experiments", "evaluate", *arguments])
    settings = dict(options.set)
    try:
        results = evaluate(
            options.run,
            options.checkpoint,
            command,
            part=options.part,
            subjects=options.subjects,
            data_settings=settings,
        )
    except NothingToScore as reason:
        print(one_line(reason))
        return 0
    show(results_file(options.run, options.part, options.subjects, settings), results)
    sheet = options.run / "segment" / "images" / _others(options.subjects, settings) / "test_sheet.png"
    if sheet.is_file():
        print(f"pictures: {sheet}")
    return 0
