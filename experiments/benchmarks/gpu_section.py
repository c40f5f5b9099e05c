"""The section of ``docs/benchmarks.md`` that ``gpu-proof`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import torch

from experiments.benchmarks.gpu_plan import STAGES, Part
from experiments.results.measures import MEASURES
from experiments.results.table import Cell, Row, Source, Table, columns, number, row
from experiments.results.writers import markdown
from experiments.runs import provenance

MEASURED = ("j_mean", "hit_rate")


def section(parts: Sequence[Part], remarks: Sequence[str], profile: str, command: str) -> str:
    """Write the section.

    Args:
        parts: What was measured.
        remarks: What to say of it.
        profile: Size profile.
        command: What the user typed.
    """
    machines = {(one.machine, one.peak) for part in parts for one in part.trained.values()}
    peaks = "".join(f" {name} multiplies at {peak / 1e12:.4g} TFLOP/s." for name, peak in sorted(machines))
    heads = columns(
        "data", "stage", "s", "steps", "images/s", "GFLOP/image", "share of peak", "GiB", "loss",
        *(MEASURES[name] for name in MEASURED), words=2,
    )  # fmt: skip
    rows = [line for part in parts for line in _rows(part)]
    failures = [f"{part.data} is not complete: {part.failure}" for part in parts if part.failure]
    found = provenance.commit()
    commit = provenance.named(found["commit"], found["dirty"])
    all_remarks = [*remarks, *about_data(parts), *failures]
    source = Source("all", (command,), (provenance.short(commit),) if commit else ())
    heading = ", ".join([f"#### {today()}", *sorted({name for name, _ in machines})])
    title = f"{profile} profile, torch {torch.__version__}"
    table = Table(title, heads, tuple(rows), remarks=tuple(all_remarks), sources=(source,))
    pictures = [f"![{part.data}]({picture_of(part)})" for part in parts if part.scores]
    text = (
        "As many steps as fit the seconds; speed without the first ten steps, with the loader and the checkpoints; "
        "operations of a training step, forward and backward; their share of the rate of matrix products in "
        f"bfloat16.{peaks}"
    )
    return "\n\n".join([heading, text, markdown([table]).strip(), *pictures]) + "\n"


def about_data(parts: Sequence[Part]) -> list[str]:
    """What to say of the data sets."""
    named = [f"{', '.join(part.clips)} of {part.data}" for part in parts if part.clips]
    same = "trained on and scored on the same frames, without their masks in training"
    return [f"{name}: {same}" for name in named] or ["Demo alone: ROOT, the folder of DAVIS, was not given"]


def _rows(part: Part) -> list[Row]:
    """The lines of a part, of which the last has the scores."""
    lines = []
    for stage, one in part.trained.items():
        speed, flops = one.images_per_second or 0.0, one.flops_per_image or 0.0
        cells = [Cell(f"{speed:.1f}" if speed else ""), Cell(f"{flops / 1e9:.4g}" if flops else "")]
        cells += [Cell("" if one.share_of_peak is None else f"{one.share_of_peak:.1%}")]
        cells += [Cell("" if one.peak_memory is None else f"{one.peak_memory / 2**30:.1f}"), number(one.loss)]
        scores = [number(part.scores.get(name)) if stage == STAGES[-1] else Cell() for name in MEASURED]
        lines.append(row(part.data, stage, str(one.seconds), str(one.steps), *cells, *scores))
    return lines


def picture_of(part: Part) -> str:
    """Where the picture of a part lies in the run folder, and in docs."""
    return f"images/gpu_proof_{part.data}.jpg"


def today() -> str:
    """The date, in UTC."""
    return datetime.now(UTC).date().isoformat()
