"""``inspect``: what a data set holds, what is wrong with it, and how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pytorch_lightning import LightningDataModule

from backdrop.errors import RunError
from backdrop.outputs import SHEET
from callbacks.pictures.png import save_png
from datamodules import FramesDataModule
from datamodules.clips.problems import Problem, counted
from datamodules.clips.splits import SPLITS, Split
from datamodules.contact_sheet import ROWS, contact_sheet
from experiments.results.table import Row, Table, columns, row
from experiments.results.writers import terminal
from experiments.signatures import Data

COLUMNS = ("split", "clip", "frames", "size", "masks", "boxes", "problems")
MOST_CLIPS = 20
MOST_PROBLEMS = 20


def table(data: FramesDataModule) -> Table:
    """Clips, frames, sizes, annotations and problems of every split.

    Args:
        data: A data module after ``setup``.

    Returns:
        One line for each split and each of its first clips; sizes are width x height of the original frames.
    """
    title = f"{type(data).__name__}, frames at {data.working_size[1]}x{data.working_size[0]}"
    return Table(title, columns(*COLUMNS, words=2), tuple(line for split in SPLITS for line in _lines(data, split)))


def _lines(data: FramesDataModule, split: Split) -> list[Row]:
    """One line for a split and one for each of its first clips."""
    dataset = data.dataset(split)
    sources = {clip.name: clip.source for clip in data.listed_clips(split)}
    problems = [problem.clip for problem in data.problems()]
    counts = [dataset.clip_counts(number) for number in range(len(dataset.clips))]
    total = [str(sum(column)) for column in zip(*counts, strict=True)] or ["0", "0", "0"]
    concerned = sum(problems.count(name) for name in dataset.clip_names)
    whole = (split, counted(len(counts), "clip"), total[0], "", *total[1:], str(concerned))
    rows = [row(*whole, rule=split != SPLITS[0], look="total")]
    for name, (frames, masks, boxes) in list(zip(dataset.clip_names, counts, strict=True))[:MOST_CLIPS]:
        height, width = sources[name].original_size()
        rows.append(row("", name, str(frames), f"{width}x{height}", str(masks), str(boxes), str(problems.count(name))))
    if len(counts) > MOST_CLIPS:
        rows.append(row("", f"... and {len(counts) - MOST_CLIPS} more", *[""] * 5))
    return rows


def problem_lines(data: FramesDataModule) -> list[str]:
    """The problems of a data module; neighbouring frames with the same one, and alike in all else, share a line.

    The last line counts the problems that are not shown.

    Args:
        data: A data module after ``setup``.

    Returns:
        Lines of text.
    """
    alike = groupby(data.problems(), key=lambda problem: (problem.clip, problem.frame is None, problem.reason))
    groups = [list(members) for _, members in alike]
    more = sum(map(len, groups[MOST_PROBLEMS:]))
    return [*map(_line, groups[:MOST_PROBLEMS]), *([f"... and {more} more"] if more else [])]


def _line(alike: Sequence[Problem]) -> str:
    """One line for a problem, or for the same one of several frames."""
    clip, first, last = alike[0].clip, alike[0].frame, alike[-1].frame
    frames = f", frame {first}" if first == last else f", frames {first} to {last} ({len(alike)})"
    return f"{clip}{'' if first is None else frames}: {alike[0].reason}"


def sheet_line(data: FramesDataModule, sheet: Path) -> str:
    """Where the contact sheet is, and whether all clips are on it.

    Args:
        data: A data module after ``setup``.
        sheet: The file.

    Returns:
        One line.
    """
    clips = len({name for split in SPLITS for name in data.dataset(split).clip_names})
    return f"pictures: {sheet}" + (f" ({ROWS} of {clips} clips)" if clips > ROWS else "")


def inspect(data: Data[LightningDataModule], output: Path | None = None) -> None:
    """Show what a data set holds and what is wrong with it, and draw a contact sheet.

    Name a video or a folder first (inspect VIDEOS), or a data set by the options of fit.

    Args:
        data: Built from the options of fit.
        output: Folder of the contact sheet (runs/DATA).

    Raises:
        RunError: If the data module is none of ours.
    """
    if not isinstance(data, FramesDataModule):
        raise RunError(f"{type(data).__name__} is no FramesDataModule: inspect looks at those only.")
    name = type(data).__name__.removesuffix("DataModule").lower()
    data.prepare_data()
    data.setup()
    terminal(table(data))
    lines = problem_lines(data)
    print("\n".join([f"problems: {data.skipped()}", *lines]) if lines else "problems: none")
    sheet = (output or Path("runs") / name) / SHEET.format(name)
    save_png(sheet, contact_sheet(data))
    print(sheet_line(data, sheet))
