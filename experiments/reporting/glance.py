"""What people look at first: a card for each run with its pictures, and bars of J by clip beside the floors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from experiments.reporting.pictures import WHOLE, Panel
from experiments.reporting.runs import Run

OVERLAY = "overlay"
KINDS = ("worst", "median", "best")
"""What the chosen test frames are, as their names say."""

TERMS = {
    "J": "Overlap of mask and true mask (intersection over union), 0 to 1; a mean over frames, then over clips.",
    "F": "Harmonic mean of P and R.",
    "P": "Precision: share of the mask that is subject.",
    "R": "Recall: share of the subject that is in the mask.",
    "boundary F": "The same as F, of the outlines.",
    "hit rate": "Share of frames whose box overlaps the true one by more than half.",
    "peak in box": "Share of frames in which the likeliest place of the detector lies in the true box.",
    "AP": "Average precision of the boxes, ranked by the detector's confidence.",
    "AURC": (
        "Area under the curve of risk (1 - J) against coverage: mean risk when only the frames with the highest scores "
        "are used. The smaller the better; without a useful score it is 1 - J."
    ),
    "cues agree": (
        "Share of the frames trained on in which motion, colours and features show the same subject. It needs no "
        "label: below 60% look at the masks, below 30% they are probably wrong."
    ),
    "floor": (
        "What a mask scores that looks at nothing: the whole frame, or a blob in the centre. A method that is not "
        "above it has found nothing."
    ),
    "transductive": "The frames that are tested were seen in training, though never their masks.",
}
"""What the figures of the page mean."""


class Card(NamedTuple):
    """A run at a glance.

    Attributes:
        run: Number of the run.
        figures: Its figures, as far as there are any: name, text.
        strip: Overlays of its worst, median and best frames; or of some frames, where none has a mask.
        unfinished: What is still to be done.
    """

    run: int
    figures: list[tuple[str, str]]
    strip: list[Panel]
    unfinished: list[str]


class Bar(NamedTuple):
    """J of a run in a clip.

    Attributes:
        run: Number of the run.
        clip: Name of the clip.
        j: In [0, 1].
        floors: Name and J of what looks at nothing, over all clips of the run.
    """

    run: int
    clip: str
    j: float
    floors: list[tuple[str, float]]


def card(number: int, run: Run, sheets: Sequence[Sequence[Sequence[Panel]]]) -> Card:
    """A run at a glance.

    Args:
        number: Its number.
        run: The run.
        sheets: Its sheets by rows, the one to choose from first.
    """
    results = run.results.get("held_out") or run.results.get("trained")
    numbers = results.numbers if results else {}
    figures = [
        (heading, f"{value:.3f}")
        for heading, name in (("J", "j_mean"), ("hit rate", "hit_rate"), ("AURC", "aurc"))
        if (value := numbers.get(name)) is not None
    ]
    agree = run.agree if run.agree is not None or results is None else results.made_by.cues_agree
    figures += [("cues agree", f"{agree:.0%}")] if agree is not None else []
    return Card(number, figures, _strip(next(filter(None, sheets), [])), run.unfinished)


def _strip(rows: Sequence[Sequence[Panel]]) -> list[Panel]:
    """Overlays of the worst, the median and the best of some frames, or of three that lie evenly among them."""
    overlays = [panel for row in rows for panel in row if panel.column == OVERLAY]
    by_kind = {kind: [panel for panel in overlays if f" {kind} " in panel.row] for kind in KINDS}
    if all(by_kind.values()):
        worst, median, best = by_kind.values()
        return [worst[0], median[len(median) // 2], best[-1]]
    if not overlays:
        return [panel for row in rows[:1] for panel in row if panel.column == WHOLE]
    places = {round(part * (len(overlays) - 1) / 2) for part in range(3)}
    return [overlays[place] for place in sorted(places)]


def bars(runs: Sequence[Run]) -> dict[str, list[Bar]]:
    """J of each clip, those of all runs together."""
    found: dict[str, list[Bar]] = {}
    for number, run in enumerate(runs):
        results = run.results.get("held_out") or run.results.get("trained")
        floors = results.floors if results else {}
        lines = [(name.replace("_", " "), j) for name, one in floors.items() if (j := one.get("j_mean")) is not None]
        for clip, numbers in (results.clips if results else {}).items():
            if (j := numbers.get("j_mean")) is not None:
                found.setdefault(clip, []).append(Bar(number, clip, j, lines))
    return dict(sorted(found.items()))
