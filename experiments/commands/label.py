"""``label``: footage with its masks, in the formats of annotation tools and trainers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from backdrop.errors import UsageError, warn


def label(
    run: Path,
    input: list[Path],
    format: str = "coco",
    name: str = "subject",
    every: int = 1,
    output: Path = Path("labels"),
    min_score: float | None = None,
    threshold: float | None = None,
    subjects: int = 1,
    checkpoint: Literal["last", "best"] | None = None,
    png: bool = False,
    overwrite: bool = False,
) -> int:
    """Label images and videos: their frames and masks as COCO, YOLO-seg, Label Studio, CVAT or Pascal VOC.

    Empty and doubtful masks are left out, counted, and listed in left_out.csv. The exit code is 2 where something could
    not be read.

    Args:
        run: A run folder, such as runs/demo, or an exported model, such as cat.onnx.
        input: Images, folders of images or of videos, and videos.
        format: One or several of coco, coco-polygons, yolo-seg, label-studio, cvat, voc, with commas in between.
        name: What the subject is called.
        every: Take every such frame of each input, the first one too.
        output: Folder of the labels; they appear in it when all are made.
        min_score: Lowest score of a label (0.5, the limit that the training found).
        threshold: Mask values from here on count as subject (that of an exported model, else 0.5).
        subjects: Most subjects to label in a frame.
        checkpoint: Of a run folder: the last one, as usual, or the best: that of the smallest val/loss.
        png: Frames as PNG, without loss, instead of JPEG of quality 95.
        overwrite: Replace labels that are there.
    """
    from backdrop.loading import load_engine, usual_threshold
    from datamodules.clips.problems import counted
    from experiments.labels.choice import Choice
    from experiments.labels.formats import formats
    from experiments.labels.making import make_labels

    wanted, choice = formats(format), Choice(0.5 if threshold is None else threshold, min_score)
    if min_score is not None and subjects > 1:
        raise UsageError("There is no score where several subjects are sought: leave --min-score or --subjects out.")
    if every < 1:
        raise UsageError(f"--every is {every}, expected 1 or more.")
    name = name.strip()  # readers of VOC's labelmap.txt do so, and take a line with # for a remark
    if not name or not name.isprintable() or set(name) & set(':,"<>') or name[0] == "#" or name == "background":
        raise UsageError(f"The name is {name!r}, expected letters, digits and spaces, and not 'background'.")
    engine = load_engine(run, subjects, checkpoint)
    if threshold is None:
        choice = replace(choice, threshold=usual_threshold(engine))
    suffix = ".png" if png else ".jpg"
    tally = make_labels(engine, input, output, wanted, name, choice, every, suffix, overwrite)
    print(f"{counted(tally.frames, 'frame')}, {counted(tally.subjects, 'mask')}")
    for reason, count in tally.left_out.most_common():
        print(f"left out: {counted(count, 'mask')} ({reason})")
    for folder in wanted:
        print(f"labels: {output / folder}")
    print(f"tables: {output / 'labels.csv'}, {output / 'left_out.csv'}")
    if tally.broken:
        warn(f"{counted(tally.broken, 'frame')} cannot be read, left out: {output / 'left_out.csv'} says which.")
    for path, reason in tally.skipped.items():
        warn(f"{path} is skipped: {reason}")
    return 2 if tally.skipped or tally.broken else 0
