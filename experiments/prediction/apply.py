"""Apply a model to one clip, and write what it finds into a folder."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backdrop.batches import MOST, batches
from backdrop.errors import warn
from backdrop.files import whole_file
from backdrop.found import Engine, Found
from backdrop.outputs import BOXES, BOXES_HEADER, BOXES_MORE
from backdrop.progress import progress
from backdrop.result import Result
from datamodules.readers.videos import TimedFrame, VideoFrames
from experiments.prediction.folder import new_prediction
from experiments.prediction.footage import (
    Footage,
    file_names,
    left_out_line,
    output_names,
    say_remarks,
    timed,
)
from experiments.prediction.pictures import save_png
from experiments.prediction.plate import Plate
from experiments.prediction.smoothing import smoothed
from experiments.prediction.threads import ahead, behind
from experiments.prediction.tracking import Tracks
from experiments.prediction.video_files import CUTOUT, video_like

if TYPE_CHECKING:
    from datamodules.readers import ImageFrames

SAVED = ("overlay", "mask", "soft", "cutout", "cutout-video", "plate")
"""What can be written beside the table."""


@dataclass(frozen=True)
class Wanted:
    """What is to be found and written.

    Attributes:
        save: Some of :data:`SAVED`.
        threshold: Mask values from here on count as subject, in (0, 1).
        several: Whether more than one subject may be found in a frame.
        smooth: Frames over whose masks the median is taken, an odd number; 1 leaves masks as they are.
        track: Whether subjects get numbers that stay with them.
    """

    save: frozenset[str] = frozenset({"overlay", "mask"})
    threshold: float = 0.5
    several: bool = False
    smooth: int = 1
    track: bool = False


@dataclass
class Summary:
    """What came of a clip.

    Attributes:
        frames: Number of frames that were predicted.
        found: In how many of them there is a subject.
        left_out: Why a frame was not, by its number.
        scored: Whether the model has scores.
    """

    frames: int = 0
    found: int = 0
    left_out: dict[int, str] = field(default_factory=dict)
    scored: bool = False


Sink = Callable[[Result, TimedFrame, str], object]
"""Writes something of a frame: its result, the frame with its times, and the name of its files without suffix."""


def apply(engine: Engine, footage: Footage, output: Path, wanted: Wanted) -> Summary:
    """Apply a model to a clip, in constant memory at any length.

    Args:
        engine: What finds the subjects.
        footage: The clip.
        output: Folder for the results; a former prediction in it is replaced.
        wanted: What is to be found and written.

    Returns:
        What came of it. Frames that cannot be read are left out, and a warning names them.

    Raises:
        RunError: If the clip cannot be opened, or the folder is somebody else's.
        ValueError: If no frame of it can be read.
    """
    frames = footage.open()
    say_remarks(frames)
    summary = Summary()
    with new_prediction(output) as part:
        _write(engine, footage.name, frames, part, wanted, summary)
    if summary.left_out:
        warn(left_out_line(frames, summary.frames, summary.left_out))
    return summary


def _write(
    engine: Engine, name: str, frames: ImageFrames | VideoFrames, output: Path, wanted: Wanted, summary: Summary
) -> None:
    """Predict every frame and write what is found.

    Decoding, the model and what is written take turns in three threads.
    """
    names = {} if isinstance(frames, VideoFrames) else file_names(frames)
    stems = output_names(names)
    broken = summary.left_out.__setitem__ if len(frames) > 1 else None  # the only frame says itself what is wrong
    with progress(len(frames) or None, f"Predicting {name}") as tick, ExitStack() as stack:
        sinks = [Table(output / BOXES, stack, wanted).add, *_sinks(frames, output, wanted, stack)]
        submit = stack.enter_context(behind(MOST))
        results = stack.enter_context(closing(_results(engine, frames, wanted, broken, names)))
        for frame, result in results:
            summary.frames += 1
            summary.found += result.found
            summary.scored |= result.score is not None
            stem = stems.get(frame.number, f"{frame.number:06d}")

            def write(result: Result = result, frame: TimedFrame = frame, stem: str = stem) -> None:
                for sink in sinks:
                    sink(result, frame, stem)
                tick()

            submit(write)


def _results(
    engine: Engine,
    frames: ImageFrames | VideoFrames,
    wanted: Wanted,
    broken: Callable[[int, str], object] | None,
    names: dict[int, str],
) -> Generator[tuple[TimedFrame, Result], None, None]:
    """Yield each frame with what is found in it, smoothed and numbered as wanted."""
    pairs = found_in(engine, timed(frames, broken))
    if wanted.smooth > 1:
        single = ((frame, found[0]) for frame, found in pairs)
        pairs = ((frame, [one]) for frame, one in smoothed(single, wanted.smooth))
    tracks = Tracks() if wanted.track else None
    for frame, found in pairs:
        name = frames.path.name if isinstance(frames, VideoFrames) else names[frame.number]
        time = None if frame.start is None else float(frame.start)
        kept = [one for one in found if one.found] or found[:1]
        numbers = None if tracks is None else tracks.follow([one.box for one in kept if one.found]) or (0,)
        yield frame, Result(frame.image, tuple(kept), name, frame.number, time, numbers, wanted.threshold)


def found_in(engine: Engine, frames: Iterator[TimedFrame]) -> Iterator[tuple[TimedFrame, list[Found]]]:
    """Yield each frame with what the model says of it, in constant memory.

    Args:
        engine: What finds the subjects.
        frames: The frames, which are read in another thread.
    """
    for batch in ahead(batches(frames)):
        yield from zip(batch, engine([frame.image for frame in batch]), strict=True)


def _sinks(frames: ImageFrames | VideoFrames, output: Path, wanted: Wanted, stack: ExitStack) -> Iterator[Sink]:
    """What writes the files that are wanted; the stack ends them."""
    video = frames if isinstance(frames, VideoFrames) else None
    if "overlay" in wanted.save and video is not None:
        add_overlay = stack.enter_context(video_like(output / "overlay.mp4", video))
        yield lambda result, frame, _: add_overlay(result.overlay(), frame)
    elif "overlay" in wanted.save:
        yield lambda result, _, stem: save_png(output / "overlays" / f"{stem}.png", result.overlay())
    if "mask" in wanted.save:
        yield lambda result, _, stem: save_png(output / "masks" / f"{stem}.png", result.binary * np.uint8(255))
        if wanted.several:
            yield lambda result, _, stem: _save_apart(output / "subjects", result, stem)
    if "soft" in wanted.save:
        yield lambda result, _, stem: save_png(output / "soft" / f"{stem}.png", result.alpha)
    if "cutout" in wanted.save:
        yield lambda result, _, stem: save_png(output / "cutouts" / f"{stem}.png", result.rgba())
    if "cutout-video" in wanted.save and video is not None:
        add_cutout = stack.enter_context(video_like(output / "cutout.mov", video, CUTOUT))
        yield lambda result, frame, _: add_cutout(result.rgba(), frame)
    if "plate" in wanted.save:
        plate = Plate()
        stack.push(lambda kind, *_: _save_plate(output / "plate.png", plate) if kind is None else None)
        yield lambda result, *_: plate.add(result.image, result.mask)


def _save_apart(folder: Path, result: Result, stem: str) -> None:
    """The mask of each subject of a frame."""
    for place, one in enumerate(result.apart(), start=1):
        save_png(folder / f"{stem}_{place}.png", one.binary * np.uint8(255))


def _save_plate(path: Path, plate: Plate) -> None:
    """Write the plate, and say what is not known of it."""
    picture, hidden, restless = plate.finish()
    save_png(path, picture)
    if hidden:
        warn(f"{hidden:.1%} of {path.name} is behind the subject in every frame that was looked at: transparent there.")
    if restless > 0.2:
        warn(f"{restless:.0%} of {path.name} does not stay the same: it is a blur where the camera moves.")
    if plate.other_sizes:
        warn(f"{plate.other_sizes} images have another size than the first, and no part in {path.name}.")


class Table:
    """The table of a prediction: a line for each subject, and one for a frame without.

    Args:
        path: The file; it appears under its name when the stack ends it without an error.
        stack: What ends it.
        wanted: What is to be found.
    """

    def __init__(self, path: Path, stack: ExitStack, wanted: Wanted) -> None:
        part = stack.enter_context(whole_file(path))
        file = stack.enter_context(part.open("w", newline="", encoding="utf-8", errors="surrogateescape"))
        self._wanted, self._rows = wanted, csv.writer(file, lineterminator="\n")
        more = ["subject"] * wanted.several + ["track"] * wanted.track
        self._rows.writerow([*BOXES_HEADER, *BOXES_MORE, *more])

    def add(self, result: Result, _frame: TimedFrame, _stem: str) -> None:
        """Write the lines of a frame."""
        for place, one in enumerate(result.apart() or [result], start=1):
            corners = [""] * 4 if one.box is None else [f"{value:.1f}" for value in one.box]
            time = "" if one.time is None else f"{one.time:.3f}"
            score = "" if one.score is None else f"{one.score:.4f}"
            area = int(np.count_nonzero(one.binary))
            row = [one.number, *corners, f"{one.confidence:.4f}", one.name]
            row += [time, score, int(one.found), area, f"{area / one.binary.size:.5f}"]
            row += [place if one.found else ""] * self._wanted.several
            row += ["" if one.track is None else one.track] * self._wanted.track
            self._rows.writerow(row)
