"""``benchmark train``: what a step of each kind of training costs, by part, and against another checkout."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backdrop.errors import UsageError
from backdrop.progress import progress
from experiments.benchmarks.checkouts import HERE, Checkout, Spent
from experiments.benchmarks.footage import encode
from experiments.results.table import Row, Table, columns, row

FEW = 4
"""Steps of the short training, which the long one is compared with: all else that a command does cancels out."""

_FRAMES, _SIZE = 64, (360, 640)
_BESIDE = ("there: s", "MiB", "times")
"""Columns of the other checkout."""


@dataclass(frozen=True)
class Kind:
    """A kind of training.

    Attributes:
        stage: ``inpaint`` or ``segment``.
        configs: What comes after the profile's config.
        options: Likewise.
        inpainter: Whether it is trained over an inpainter.
    """

    stage: str
    configs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    inpainter: bool = True


KINDS = {
    "inpaint": Kind("inpaint", inpainter=False),
    "inpainting": Kind("segment"),
    "temporal": Kind("segment", ("background/temporal.yaml", "profiles/small/plates.yaml")),
    "cues": Kind(
        "segment",
        ("background/cues.yaml", "profiles/small/cues.yaml"),
        ("--data.init_args.target_features=none",),
        inpainter=False,
    ),
}
"""By what stage 2 learns from: stage 1; stage 2 over the inpainter, over plates, and on targets, small profile."""


def training(
    folder: Path, kinds: list[str], steps: int, rounds: int, against: Path | None
) -> dict[str, dict[str, Any]]:
    """Measure trainings on generated footage.

    Args:
        folder: An empty folder.
        kinds: Which, of :data:`KINDS`; all if there are none.
        steps: Steps of the long training.
        rounds: How often each length is measured, in turns with the other checkout.
        against: Another checkout; None measures this one alone.

    Returns:
        For each kind ``seconds`` of a step, all its processes together, median over the rounds; ``memory``; what
        :class:`experiments.benchmarks.parts.Parts` writes; and ``against`` with ``seconds``, ``memory`` and ``ratio``,
        the other checkout's seconds over those of this one, median of those within a round. ``missing`` in place of
        these where the other has no such training.

    Raises:
        RunError: If a command fails.
        UsageError: If a kind is unknown, a number too small, or the other checkout is none.
    """
    if unknown := set(kinds) - set(KINDS):
        raise UsageError(f"--kinds {unknown.pop()} is unknown: choose {', '.join(KINDS)}")
    if steps <= FEW or rounds < 1:
        raise UsageError(f"--steps must be above {FEW}, and --rounds 1 or more")
    if against is not None and not (against / "experiments" / "configs").is_dir():
        raise UsageError(f"--against {against} is no checkout: it has no experiments/configs")
    folder = folder.resolve()  # the commands run in their checkouts
    encode(video := folder / "clip.mp4", _FRAMES, _SIZE)
    wanted = {name: KINDS[name] for name in KINDS if name in kinds or not kinds}
    places = {"here": HERE} | ({"there": against.resolve()} if against is not None else {})
    trials = {n: Trainings(Checkout(place, folder / f"{n}-cache"), folder / n, video) for n, place in places.items()}
    found: dict[str, dict[str, Any]] = {}
    able = sum(one.has(kind) for kind in wanted.values() for one in trials.values())
    with progress(able * (1 + rounds), "Training") as tick:
        for name, kind in wanted.items():
            found[name] = _measured(kind, trials, steps, rounds, tick)
    return found


@dataclass(frozen=True)
class Trainings:
    """Trainings of one checkout.

    Attributes:
        checkout: It.
        folder: Where its runs go.
        video: What it trains on.
    """

    checkout: Checkout
    folder: Path
    video: Path

    def has(self, kind: Kind) -> bool:
        """Whether it can train so."""
        return all(self.checkout.has(config) for config in kind.configs)

    def train(self, kind: Kind, steps: int, more: tuple[str, ...] = ()) -> Spent:
        """Train from the beginning, without validation.

        Args:
            kind: What.
            steps: How many steps.
            more: Further options.
        """
        configs = ("base.yaml", f"{kind.stage}.yaml", "data/videos.yaml", f"profiles/small/{kind.stage}.yaml")
        named = [f"--config={config}" for config in (*configs, *kind.configs)]
        place = self.folder / kind.stage
        shutil.rmtree(place, ignore_errors=True)
        made = ["--model.init_args.inpainter_ckpt", str(self._inpainter())] if kind.inpainter else []
        options = [f"--data.init_args.root={self.video}", f"--trainer.default_root_dir={place}"]
        options += [f"--trainer.max_steps={steps}", "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0"]
        return self.checkout.run(["fit", *named, *options, *kind.options, *made, *more])

    def _inpainter(self) -> Path:
        """The checkpoint of a stage 1 of few steps."""
        made = self.folder / "inpainter.ckpt"
        if not made.is_file():
            self.train(KINDS["inpaint"], FEW)
            (self.folder / "inpaint" / "checkpoints" / "last.ckpt").rename(made)
        return made


def _measured(
    kind: Kind, trials: Mapping[str, Trainings], steps: int, rounds: int, tick: Callable[[], None]
) -> dict[str, Any]:
    """What :func:`training` says of a kind."""
    able = {name: one for name, one in trials.items() if one.has(kind)}
    here = trials["here"]
    written = here.folder / "parts.json"
    for name, one in able.items():  # decodes, and makes plates or targets; that is not timed
        parts = f'[{{"class_path": "experiments.benchmarks.parts.Parts", "init_args": {{"path": "{written}"}}}}]'
        one.train(kind, steps if name == "here" else FEW, ("--trainer.callbacks+", parts) if name == "here" else ())
        tick()
    spent: dict[str, list[tuple[float, int]]] = {name: [] for name in able}
    for _ in range(rounds):
        for name, one in able.items():
            short, long = one.train(kind, FEW), one.train(kind, steps)
            spent[name].append(((long.seconds - short.seconds) / (steps - FEW), long.memory))
            tick()
    seconds = {name: [one for one, _ in values] for name, values in spent.items()}
    found: dict[str, Any] = {"seconds": statistics.median(seconds["here"]), **json.loads(written.read_text("utf-8"))}
    found["memory"] = max(memory for _, memory in spent["here"])
    if "there" in able:
        ratios = [other / own for other, own in zip(seconds["there"], seconds["here"], strict=True)]
        found["against"] = {
            "seconds": statistics.median(seconds["there"]),
            "memory": max(memory for _, memory in spent["there"]),
            "ratio": statistics.median(ratios),
        }
    elif "there" in trials:
        found["against"] = {"missing": "there is no such training"}
    return found


def tables(found: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """What :func:`training` has found, as tables: the steps, and their parts.

    Args:
        found: See there.
    """
    beside = any("against" in one for one in found.values())
    heads = ("", "s a step", "images/s", "GFLOP", "share of peak", "MiB", *(_BESIDE if beside else ()))
    steps = tuple(_whole(name, one, beside) for name, one in found.items())
    whole = Table("a step, processor time of all its processes", columns(*heads), steps)
    names = list(dict.fromkeys(name for one in found.values() for name in one["parts"]))
    lines = [row(name, *(_milliseconds(one, name) for one in found.values())) for name in names]
    parts = Table("its parts in the training process, ms (waiting: by the clock)", columns("", *found), tuple(lines))
    return [whole, parts]


def _whole(name: str, one: Mapping[str, Any], beside: bool) -> Row:
    share = one["flops"] / one["seconds"] / one["peak"]
    numbers = [f"{one['seconds']:.3f}", f"{one['images'] / one['seconds']:.1f}", f"{one['flops'] / 1e9:.1f}"]
    numbers += [f"{share:.0%}", f"{one['memory'] / 2**20:.0f}"]
    if not beside:
        return row(name, *numbers)
    other = one["against"]
    if "missing" in other:
        return row(name, *numbers, other["missing"], "", "")
    return row(name, *numbers, f"{other['seconds']:.3f}", f"{other['memory'] / 2**20:.0f}", f"{other['ratio']:.2f}")


def _milliseconds(one: Mapping[str, Any], name: str) -> str:
    return f"{1e3 * one['parts'][name]:.0f}" if name in one["parts"] else ""
