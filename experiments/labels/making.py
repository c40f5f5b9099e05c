"""Apply a model to footage, and write what it finds as labels."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backdrop.errors import RunError, one_line
from backdrop.found import Engine, Found
from backdrop.outputs import LABELS, LABELS_HEADER
from backdrop.progress import progress
from datamodules.readers.videos import TimedFrame
from experiments.labels.choice import Choice
from experiments.labels.folder import LEFT_OUT, new_labels
from experiments.labels.formats import FORMATS
from experiments.labels.frame import LabelledFrame, Subject
from experiments.labels.inputs import Input
from experiments.labels.names import Names
from experiments.labels.pictures import write_picture
from experiments.labels.writer import Writer
from experiments.prediction.footage import Footage, find_footage

LEFT_OUT_HEADER = ("input", "frame", "subject", "score", "reason")


@dataclass
class Tally:
    """What was made, and what was not.

    Attributes:
        frames: Labelled frames.
        subjects: Labels.
        left_out: How many masks were left out, by reason.
        broken: Frames that cannot be read.
        skipped: Why inputs cannot be read, by their path.
    """

    frames: int = 0
    subjects: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    skipped: dict[Path, str] = field(default_factory=dict)


class Maker:
    """Writes labels into a folder.

    Args:
        folder: An empty folder.
        formats: Names of the formats.
        category: What the subject is called.
        suffix: ``.jpg`` or ``.png``, of the frames.
        choice: Which masks become labels.
        files: Closes what is opened here.
    """

    def __init__(
        self, folder: Path, formats: Sequence[str], category: str, suffix: str, choice: Choice, files: ExitStack
    ) -> None:
        self.tally = Tally()
        self._writers: list[Writer] = [FORMATS[name](folder / name, category) for name in formats]
        self._names, self._suffix, self._choice = Names(), suffix, choice
        self._labels = _table(folder / LABELS, LABELS_HEADER, files)
        self._left_out = _table(folder / LEFT_OUT, LEFT_OUT_HEADER, files)

    def add(self, source: Path, shot: TimedFrame, wanted: str, found: Sequence[Found]) -> None:
        """Write the labels of a frame, or say why there are none.

        Args:
            source: The input.
            shot: Its frame.
            wanted: What the picture should be called.
            found: What the model says of it.
        """
        subjects = list[Subject]()
        for number, subject in enumerate(found, start=1):
            judged = self._choice(subject)
            if isinstance(judged, Subject):
                subjects.append(judged)
                continue
            self.tally.left_out[judged] += 1
            self._left_out.writerow([source, shot.number, number, _score(subject.score), judged])
        if not subjects:
            return
        self.tally.frames += 1
        self.tally.subjects += len(subjects)
        name, (height, width) = self._names.new(wanted), shot.image.shape[:2]
        frame = LabelledFrame(self.tally.frames, name, self._suffix, (height, width), tuple(subjects))
        write_picture(shot.image, [writer.folder / writer.pictures / frame.file for writer in self._writers])
        for writer in self._writers:
            writer.add(frame)
        time = "" if shot.start is None else f"{float(shot.start):.3f}"
        for number, label in enumerate(subjects, start=1):
            row = [frame.file, source, shot.number, time, number, _score(label.score), label.mask.sum(), *label.corners]
            self._labels.writerow(row)

    def miss(self, source: Path, number: int, reason: str) -> None:
        """Note a frame that cannot be read.

        Args:
            source: The input.
            number: Its frame number.
            reason: What is wrong with it.
        """
        self.tally.broken += 1
        self._left_out.writerow([source, number, "", "", reason])

    def skip(self, source: Path, reason: str) -> None:
        """Note an input that cannot be read.

        Args:
            source: The input.
            reason: What is wrong with it.
        """
        self.tally.skipped[source] = reason
        self._left_out.writerow([source, "", "", "", reason])

    def close(self) -> None:
        """Finish every format."""
        for writer in self._writers:
            writer.close()


def make_labels(
    engine: Engine,
    sources: Sequence[Path],
    output: Path,
    formats: Sequence[str],
    category: str,
    choice: Choice,
    every: int = 1,
    suffix: str = ".jpg",
    overwrite: bool = False,
) -> Tally:
    """Make labels of footage, in constant memory at any length.

    Args:
        engine: What finds the subjects.
        sources: Images, folders of images or of videos, and videos.
        output: Folder of the labels; they get their place in it once all are made.
        formats: Names of the formats, see :data:`FORMATS`.
        category: What the subject is called.
        choice: Which masks become labels.
        every: Takes every such frame of each input.
        suffix: ``.jpg`` or ``.png``, of the frames.
        overwrite: Replace labels that are in ``output``.

    Returns:
        What was made, and what was not.

    Raises:
        RunError: If nothing can be read, nothing is left to label, or ``output`` is taken.
    """
    clips = find_footage(sources)
    with new_labels(output, overwrite) as folder, ExitStack() as files:
        maker = Maker(folder, formats, category, suffix, choice, files)
        inputs = list(_opened(clips, every, maker))
        with progress(sum(len(source) for _, source in inputs) or None, "Labelling") as tick:
            for path, source in inputs:
                _label(engine, path, source, maker, tick)
        if not maker.tally.frames:
            raise RunError(_nothing(maker.tally))
        maker.close()
    return maker.tally


def _opened(clips: Sequence[Footage], every: int, maker: Maker) -> Iterator[tuple[Path, Input]]:
    """The inputs that can be opened; the others are noted."""
    for clip in clips:
        try:
            yield clip.path, Input(clip, every)
        except RunError as error:
            maker.skip(clip.path, str(error))


def _label(engine: Engine, path: Path, source: Input, maker: Maker, tick: Callable[[], None]) -> None:
    """Label the frames of an input; what cannot be read is noted."""
    broken = dict[int, str]()
    try:
        for frame, found in source.found(engine, broken.setdefault):
            maker.add(path, frame, source.name(frame), found)
            tick()
    except ValueError as error:
        maker.skip(path, one_line(error))
        return
    for number, reason in broken.items():
        maker.miss(path, number, reason)


def _nothing(tally: Tally) -> str:
    """Why there is no label at all, in one sentence."""
    if tally.left_out:
        reasons = ", ".join(f"{count} of {reason}" for reason, count in tally.left_out.most_common())
        return f"No mask is left to label: all {tally.left_out.total()} are left out ({reasons})."
    return next(iter(tally.skipped.values()), "No frame can be read.")


def _table(path: Path, header: Sequence[str], files: ExitStack) -> Any:  # noqa: ANN401  # csv names no type for it
    """A CSV file with its first line."""
    file = files.enter_context(path.open("w", encoding="utf-8", errors="surrogateescape", newline=""))
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(header)
    return rows


def _score(score: float | None) -> str:
    """A score as the tables have it."""
    return "" if score is None else f"{score:.4f}"
