"""What the command ``predict`` does: one clip after the other, and what is said of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from backdrop.errors import RunError, UsageError, one_line, warn
from backdrop.files import NotWritten
from backdrop.loading import load_engine, usual_threshold
from backdrop.outputs import CONFIG
from datamodules.clips.problems import counted
from experiments.calibration import no_score
from experiments.prediction.apply import SAVED, Summary, Wanted, apply
from experiments.prediction.folder import PARTS
from experiments.prediction.footage import Footage, find_footage

SOME_BROKEN = 2
"""The exit code where some of what was to be read could not be."""


def predict_all(
    run: Path,
    inputs: Sequence[Path],
    output: Path | None,
    save: str,
    threshold: float | None,
    checkpoint: Literal["last", "best"] | None,
    subjects: int,
    refine: bool,
    smooth: int,
    track: bool,
) -> int:
    """Predict clips; the arguments are those of the command.

    Returns:
        0, or 2 where some of several clips, or some frames of one, could not be read: they are listed.

    Raises:
        UsageError: If arguments do not go together.
        NotWritten: If the disk is full or forbids to write; clips that are complete stay.
        RunError: If the model cannot be loaded, or the only clip cannot be read.
        ValueError: If no frame of the only clip can be read.
    """
    wanted = _wanted(save, 0.5 if threshold is None else threshold, subjects, refine, smooth, track)
    clips = find_footage(inputs)
    if "cutout-video" in wanted.save and any(clip.images is not None or clip.path.is_dir() for clip in clips):
        warn("cutout-video is for videos: of images, cutout writes PNGs.")
    engine = load_engine(run, subjects, checkpoint, wanted.threshold if refine else None)
    if threshold is None:
        wanted = replace(wanted, threshold=usual_threshold(engine))
    failed, unscored, lost = dict[str, str](), False, False
    try:
        for clip in clips:
            folder = output if output and len(clips) == 1 else (output or home(run)) / clip.name
            try:
                summary = apply(engine, clip, folder, wanted)
            except NotWritten:
                raise
            except (RunError, ValueError, OSError) as error:
                if len(clips) == 1:
                    raise
                failed[str(clip.path)] = one_line(error)
                continue
            unscored |= not summary.scored
            lost |= bool(summary.left_out)
            print(_line(clip, summary, folder), flush=True)
    finally:
        if unscored:
            print(_without_score(run, subjects), flush=True)
        for reason in failed.values():
            print(f"error: {reason}", file=sys.stderr, flush=True)
        if failed:
            print(f"{len(failed)} of {counted(len(clips), 'input')} skipped: {', '.join(failed)}", file=sys.stderr)
    return SOME_BROKEN if failed or lost else 0


def _wanted(save: str, threshold: float, subjects: int, refine: bool, smooth: int, track: bool) -> Wanted:
    """Check what is asked for.

    Raises:
        UsageError: If it is out of range, or does not go together.
    """
    names = [name.strip() for name in save.split(",") if name.strip()]
    if unknown := [name for name in names if name not in SAVED]:
        raise UsageError(f"There is nothing called {unknown[0]} to save: choose from {', '.join(SAVED)}")
    if not 0 < threshold < 1:
        raise UsageError(f"The threshold is {threshold}, expected a number between 0 and 1")
    if smooth < 1 or smooth % 2 == 0:
        raise UsageError(f"The number of frames to smooth over is {smooth}, expected an odd number such as 5")
    if refine and "soft" in names:
        raise UsageError("A refined mask has no grey values: give --refine or --save soft, not both")
    if smooth > 1 and subjects > 1:
        raise UsageError("Smoothing is for one subject: leave --smooth or --subjects out")
    return Wanted(frozenset(names), threshold, subjects > 1, smooth, track)


def home(run: Path) -> Path:
    """The folder of the predictions of a model: in its run folder, or beside an exported file.

    Args:
        run: The run folder, a checkpoint in one, or an exported model.
    """
    stage = run.absolute().parent.parent  # of RUN/segment/checkpoints/last.ckpt
    if run.is_dir() or not (stage / CONFIG).is_file():
        return (run if run.is_dir() else run.parent) / "predictions"
    return stage.parent / "predictions"


def _without_score(run: Path, subjects: int) -> str:
    """What it means that there is no score, in one sentence."""
    if subjects > 1:
        return "There is no score where several subjects are sought: every frame counts as one with a subject."
    return no_score(run) if run.is_dir() else "This model has no score: every frame counts as one with a subject."


def _line(clip: Footage, summary: Summary, folder: Path) -> str:
    """What came of a clip, in one line."""
    empty = summary.frames - summary.found
    without = f", {empty} of them without a subject" if empty else ""
    written = ", ".join(name for name in PARTS if (folder / name).exists())
    return f"{clip.name}: {counted(summary.frames, 'frame')}{without}; {folder} has {written}"
