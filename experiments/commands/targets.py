"""``targets``: how good the training targets of annotated clips are, and what their constants are worth."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule

from backdrop.documents import read_json
from backdrop.errors import RunError, UsageError
from backdrop.files import write_text
from backdrop.progress import progress
from callbacks.measures.pixels import pixel_scores
from datamodules import FramesDataModule
from datamodules.clips.clip import Clip
from datamodules.cues.features import Describer, chosen
from datamodules.cues.patches import Features
from datamodules.cues.targets import Moving, Targets
from datamodules.dataset import FrameDataset
from datamodules.readers import Pixels
from experiments.results.cross_validation import leave_group_out
from experiments.results.table import Row, Table, columns, mean, number, row
from experiments.results.writers import terminal
from experiments.signatures import Data

TARGET, TRUST, SECONDS = "target", "trust", "processor s a frame"
Numbers = dict[str, float]
"""J by step, mean trust and processor seconds a frame."""


def targets(
    folder: Path, data: Data[LightningDataModule], vary: list[str] = [], groups: int = 3  # noqa: B006
) -> None:
    """Measure the training targets of the test clips against their masks, which the targets do not see.

    What is done is kept in FOLDER/targets.json: the same call goes on from there.

    Args:
        folder: Folder of the numbers.
        data: Built from the options of fit.
        vary: Other values of the constants, NAME=VALUE,VALUE each: every value is measured on all clips with the other
            constants as they are, and the table says what the choice is worth on clips that were left out of it.
        groups: Into how many groups the clips are dealt for that.

    Raises:
        RunError: If the data module is none of ours, or a clip has no masks.
        UsageError: If there is no such constant, or a value does not fit.
    """
    settings = {"default": Targets(), **varied(vary)}
    if not isinstance(data, FramesDataModule):
        raise RunError(f"{type(data).__name__} is no FramesDataModule: targets are made of those only.")
    data.setup("test")
    dataset = data.dataset("test")
    if dataset.masks is None:
        raise RunError(f"The test clips of {type(data).__name__} have no masks: nothing to measure.")
    clips = {clip.name: clip for clip in data.listed_clips("test")}
    file = folder / "targets.json"
    found = _read(file)
    with progress(len(dataset.clips), "Measuring the targets of clips") as tick:
        for at, entry in enumerate(dataset.clips):
            work = _Work(clips[entry.name], dataset, at)
            for one in settings.values():
                done, made_of = found.setdefault(_key(one), {}), _made_of(one, work.clip, data.image_size)
                if done.get(entry.name, {}).get("made_of") != made_of:
                    done[entry.name] = {"made_of": made_of, "numbers": work.measure(one)}
                    write_text(file, json.dumps(found, indent=1) + "\n")
            tick()
    of = {name: found[_key(one)] for name, one in settings.items()}
    scores = {name: {clip: done[clip]["numbers"] for clip in dataset.clip_names} for name, done in of.items()}
    terminal(clip_table(scores["default"]))
    if len(settings) > 1:
        terminal(*sensitivity(scores, groups))
    print(f"numbers: {file}")


def varied(words: Sequence[str]) -> dict[str, Targets]:
    """The settings that ``--vary`` names, by NAME=VALUE.

    Args:
        words: NAME=VALUE,VALUE each.

    Raises:
        UsageError: If there is no such constant, or a value does not fit.
    """
    kinds = {field.name: type(getattr(Targets(), field.name)) for field in fields(Targets)}
    found = {}
    for word in words:
        name, _, values = word.partition("=")
        if name not in kinds or not values:
            raise UsageError(f"--vary {word}: give NAME=VALUE,VALUE, where NAME is one of {', '.join(kinds)}")
        for value in values.split(","):
            try:
                changed: dict[str, Any] = {name: kinds[name](value)}
                found[f"{name}={value}"] = replace(Targets(), **changed)
            except ValueError as error:
                raise UsageError(f"--vary {word}: {value} is no value of {name}: {error}") from error
    return found


class _Work:
    """One clip, whose motion and features are found once for all settings; it is in memory as a whole.

    Args:
        clip: The clip.
        dataset: Holds its masks.
        clip_index: Its position there.
    """

    def __init__(self, clip: Clip, dataset: FrameDataset, clip_index: int) -> None:
        assert dataset.masks is not None
        self.clip, self.masks, entry = clip, dataset.masks[clip_index], dataset.clips[clip_index]
        self.positions = {int(n): at for at, n in enumerate(entry.frame_numbers) if self.masks.annotated[at]}
        self.moving: dict[int, list[Moving]] = {}
        self.features: dict[tuple[str, int, int], list[Features]] = {}

    def measure(self, maker: Targets) -> Numbers:
        """Mean J of each step over the annotated frames, their mean trust, and the cost.

        What was found for a former setting costs nothing, so the cost is that of the first one.
        """
        shares, trust, started = dict[str, list[float]](), list[float](), time.process_time()
        if maker.height not in self.moving:
            self.moving[maker.height] = list(maker.moving(self.clip.source, broken=lambda *_: None))
        frames, describer = self.moving[maker.height], chosen(maker.features)
        found = list(maker.fused(frames, _Remembered(describer, self.features) if describer is not None else None))
        seconds = (time.process_time() - started) / max(len(frames), 1)
        for target in found:
            if target.frame_number in self.positions:
                at = self.positions[target.frame_number]
                truth, known = self.masks[at], self.masks.known(at)
                trust.append(target.trust)
                for step, mask in {**target.steps, TARGET: target.mask}.items():
                    shares.setdefault(step, []).append(_j(mask, truth, known))
        return {**{step: fmean(values) for step, values in shares.items()}, TRUST: fmean(trust), SECONDS: seconds}


@dataclass(frozen=True)
class _Remembered:
    """Features that are made once for each piece of a clip."""

    describer: Describer
    made: dict[tuple[str, int, int], list[Features]]

    def features(self, images: Sequence[Pixels]) -> list[Features]:
        """See :meth:`datamodules.cues.features.Backbone.features`."""
        key = (str(self.describer), id(images[0]), len(images))  # the frames live as long as the work on their clip
        if key not in self.made:
            self.made[key] = self.describer.features(images)
        return self.made[key]


def clip_table(clips: dict[str, Numbers]) -> Table:
    """J of each step, clip by clip, and the mean over them."""
    last = (TARGET, TRUST, SECONDS)
    found = dict.fromkeys(step for numbers in clips.values() for step in numbers if step not in last)
    steps = [*found, *last]  # not every clip takes every step
    rows: list[Row] = [row(clip, *(number(numbers.get(step)) for step in steps)) for clip, numbers in clips.items()]
    means = [mean([numbers.get(step) for numbers in clips.values()]) for step in steps]
    rows.append(row("mean", *means, rule=True, look="total"))
    return Table("targets: J of each step", columns("clip", *steps), tuple(rows))


def sensitivity(scores: dict[str, dict[str, Numbers]], groups: int) -> Iterable[Table]:
    """The mean J of every value of a constant, and what choosing among them is worth on clips left out."""
    of = {name: {clip: numbers[TARGET] for clip, numbers in clips.items()} for name, clips in scores.items()}
    values = [row(name, mean(list(clips.values()))) for name, clips in of.items()]
    yield Table("constants: mean J of the targets over clips ± deviation", columns("constant", "J"), tuple(values))
    names = dict.fromkeys(name.partition("=")[0] for name in of if name != "default")
    rows = []
    for name in ["all of these", *names]:
        among = {one: of[one] for one in of if one == "default" or name in ("all of these", one.partition("=")[0])}
        left = leave_group_out(among, groups)
        left_out = number(left.left_out, left.spread)
        rows.append(row(name, left.best, number(left.tuned), left_out, ", ".join(left.chosen)))
    yield Table(
        f"leave-group-out, {groups} groups of clips ± deviation of the groups",
        columns("chosen among", "best", "tuned J", "left-out J", "chosen by the others"),
        tuple(rows),
    )


def _j(mask: NDArray[np.bool_], truth: NDArray[np.bool_], known: NDArray[np.bool_]) -> float:
    """J of a mask of another size, over the pixels that are known."""
    scaled = cv2.resize(mask.astype(np.float32), truth.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    scaled &= known
    counts = [torch.tensor([[int(area.sum())]]) for area in (scaled & truth, scaled, truth)]
    return float(pixel_scores(*counts)[0, 3, 0])


def _key(maker: Targets) -> str:
    constants = {field.name: getattr(maker, field.name) for field in fields(Targets)}
    return json.dumps(constants | {"features": str(chosen(maker.features))}, sort_keys=True)


def _made_of(maker: Targets, clip: Clip, size: tuple[int, int]) -> str:
    """A check sum of all that the numbers of a clip depend on, but for the masks."""
    parts = [*maker.identity(clip.source), str(size)]
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]


def _read(file: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """What was measured before: setting -> clip -> what it was made of, and its numbers."""
    try:
        found: dict[str, dict[str, dict[str, Any]]] = read_json(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise RunError(f"{file} is damaged ({error}): delete it, and the clips are measured again.") from error
    print(f"{file}: going on from what was measured before", file=sys.stderr)
    return found
