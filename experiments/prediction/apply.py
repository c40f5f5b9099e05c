"""Apply a trained run to footage, and write what it finds into a folder."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backdrop.drawing import draw
from backdrop.errors import RunError, warn
from backdrop.files import write_text
from backdrop.found import union
from backdrop.locks import sole
from backdrop.outputs import BOXES, BOXES_HEADER
from backdrop.progress import progress
from callbacks.pictures.png import save_png
from datamodules.readers import ImageFrames, VideoFrames
from experiments.prediction.footage import (
    batches,
    file_names,
    left_out_line,
    open_input,
    output_names,
    say_remarks,
    timed,
)
from experiments.prediction.overlay_video import overlay_video
from experiments.prediction.predictor import Predictor, load_predictor
from experiments.runs.folder import absent, remove_empty

BATCH = 16
PARTS = ("overlays", "overlay.mp4", "masks", "subjects", BOXES)


def apply(
    run: Path,
    source: Path,
    output: Path,
    threshold: float = 0.5,
    checkpoint: Literal["last", "best"] = "last",
    soft: bool = False,
    subjects: int = 1,
    refine: bool = False,
) -> int:
    """Apply a trained run to an image, a folder of images or a video.

    Args:
        run: The run folder.
        source: The input.
        output: Folder for ``overlays/`` (or ``overlay.mp4``), ``masks/`` and ``boxes.csv``, and for more than one
            subject ``subjects/``; a former prediction in it is replaced.
        threshold: Mask values from here on count as subject, in (0, 1).
        checkpoint: ``last`` or ``best``.
        soft: Write masks as grey values (0 to 255) instead of 0 and 255.
        subjects: Most subjects to find in a frame.
        refine: Cut the border of each mask again at the frame's own size.

    Returns:
        Number of frames; those that cannot be read are left out, and a warning says which.

    Raises:
        RunError: If the run or the input cannot be read.
        ValueError: If no frame of the input can be read.
    """
    if not 0 < threshold < 1:
        raise RunError(f"The threshold is {threshold}, expected a number between 0 and 1.")
    if refine and soft:
        raise RunError("A refined mask has no grey values: give --refine or --soft, not both.")
    frames = open_input(source)
    predictor = load_predictor(run, subjects, checkpoint, threshold if refine else None)
    say_remarks(frames)
    left_out: dict[int, str] = {}
    with replacing(output) as part:
        count = _write(predictor, frames, part, threshold, soft, left_out, subjects > 1)
    if left_out:
        warn(left_out_line(frames, count, left_out))
    return count


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A folder for a new prediction, which replaces the former one in ``output`` once it is complete.

    Args:
        output: The folder that the user asked for; what else lies in it stays.

    Yields:
        An empty folder inside ``output``; gone in the end, also after an error, when ``output`` is as it was.

    Raises:
        RunError: If ``output`` holds files under the names of a prediction's that are none, or another process
            predicts into it.
    """
    before = absent(output)
    try:
        with sole(output / ".predicting") as alone:
            if not alone:
                raise RunError(f"Another prediction writes into {output}: wait for its end, or choose another OUTPUT.")
            yield from _replaced(output)
    finally:
        remove_empty(before)


def _replaced(output: Path) -> Iterator[Path]:
    """The same, for the only process that writes into ``output``."""
    table, part = output / BOXES, output / ".part"
    former = table.is_file() and table.read_text(errors="replace").startswith(",".join(BOXES_HEADER[:-1]))
    taken = [name for name in PARTS if (output / name).exists()]
    if taken and not former:
        raise RunError(f"{output / taken[0]} is there already and was made by no prediction: choose another OUTPUT.")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir(parents=True)
    try:
        yield part
        for name in taken:  # boxes.csv, by which a prediction is known, goes last and comes first
            old = output / name
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in sorted(part.iterdir()):
            os.replace(new, output / new.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(
    predictor: Predictor,
    frames: ImageFrames | VideoFrames,
    output: Path,
    threshold: float,
    soft: bool,
    left_out: dict[int, str],
    several: bool,
) -> int:
    """Predict every frame and write what is found.

    For ``several`` subjects there is a line in the table and a mask in ``subjects/`` for each.

    Frames that cannot be read are entered in ``left_out``; the only frame there is raises instead, with its own reason.
    """
    names = file_names(frames) if isinstance(frames, ImageFrames) else {}
    stems = output_names(names)
    video = overlay_video(output / "overlay.mp4", frames) if isinstance(frames, VideoFrames) else nullcontext()
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow([*BOXES_HEADER, "subject"] if several else BOXES_HEADER)

    def save_mask(mask: NDArray[np.float32], name: str) -> None:
        values = mask if soft else (mask >= threshold).astype(np.float32)
        save_png(output / name, (values * 255).round().astype(np.uint8))

    count = 0
    broken = left_out.__setitem__ if len(frames) > 1 else None
    with progress(len(frames) or None, "Predicting") as tick, video as add_to_video:
        for batch in batches(timed(frames, broken), BATCH):
            for frame, found in zip(batch, predictor([frame.image for frame in batch]), strict=True):
                number, image = frame.number, frame.image
                file = names[number] if isinstance(frames, ImageFrames) else frames.path.name
                stem = stems.get(number, f"{number:06d}")
                overlay = draw(image, found, threshold)
                if add_to_video is None:
                    save_png(output / "overlays" / f"{stem}.png", overlay)
                else:
                    add_to_video(overlay, frame)
                save_mask(union(found), f"masks/{stem}.png")
                for place, subject in enumerate(found, start=1):
                    corners = (f"{value:.1f}" for value in subject.box)
                    row = [number, *corners, f"{subject.confidence:.4f}", file]
                    rows.writerow([*row, place] if several else row)
                    if several:
                        save_mask(subject.mask, f"subjects/{stem}_{place}.png")
                count += 1
                tick()
    write_text(output / BOXES, table.getvalue())
    return count
