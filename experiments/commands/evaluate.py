"""``evaluate``: score a trained run on its test clips."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml

from backdrop.errors import UsageError, one_line
from experiments.results import evaluation
from experiments.results.evaluation import NothingToScore, Variant
from experiments.results.official import ProtocolName
from experiments.results.overview import show
from experiments.results.record import Part
from experiments.runs.folder import StageFolder
from experiments.signatures import Typed


def evaluate(
    run: Path,
    command: Typed,
    checkpoint: Literal["last", "best"] = "last",
    part: Part = "held_out",
    subjects: int = 1,
    protocol: ProtocolName = "usual",
    set_: list[str] = [],  # noqa: B006  (nothing changes it)
) -> None:
    """Score a trained run on its test clips: RUN/results.json, a table and picture sheets.

    Args:
        run: Run folder, such as runs/demo.
        command: As it was typed, for the record.
        checkpoint: Which checkpoint; best is that of the smallest val/loss.
        part: Of clips of which an end was held out, that end, or the part that was trained on.
        subjects: Most subjects to find in a frame; the paper's is 1.
        protocol: davis gives the official figures of DAVIS instead: at the clips' own size, without the first and the
            last frame.
        set_: Arguments of the data module that differ from those of the training, NAME=VALUE, such as figures=2.
    """
    variant = Variant(part, subjects, dict(_settings(set_)), protocol)
    try:
        results = evaluation.evaluate(run, command, variant, checkpoint)
    except NothingToScore as reason:
        print(one_line(reason))
        return
    show(variant.file(run), results)
    sheet = variant.images(StageFolder(run / "segment")) / "test_sheet.png"
    if sheet.is_file():
        print(f"pictures: {sheet}")


def _settings(words: Iterable[str]) -> Iterable[tuple[str, Any]]:
    """Names and values of NAME=VALUE."""
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and equals):
            raise UsageError(f"{word} is no NAME=VALUE")
        yield name, yaml.safe_load(value)
