"""Measure a baseline on the test clips of a data module, and write its numbers as those of a run are written."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from backdrop.errors import RunError
from callbacks import MaskImages, MaskMetrics
from datamodules import FramesDataModule
from experiments.baselines import METHODS
from experiments.baselines.clip_frames import ClipFrames
from experiments.baselines.lesson import Lesson
from experiments.baselines.method import Baseline
from experiments.baselines.module import BaselineModule
from experiments.results.evaluation import BEST
from experiments.results.record import RESULTS, MadeBy, Results, Settings
from experiments.runs import provenance
from experiments.runs.folder import differences
from experiments.runs.trainers import measuring_trainer


def _settings(
    name: str, arguments: Mapping[str, Any], config: Mapping[str, Any], transductive: bool | None
) -> Settings:
    """What decides the numbers of a method, as it is written down.

    Args:
        name: The method.
        arguments: Its arguments.
        config: The merged settings of the data.
        transductive: Whether it learns from the clips that it is tested on; None where it learns nothing.
    """
    data = config["data"]
    return Settings(
        data=config["run"].get("data"),
        profile="baseline",
        scale=data["init_args"].get("scale"),
        mode=None,
        method=name,
        method_settings=dict(arguments),
        transductive=transductive,
        data_settings={key: data[key] for key in ("class_path", "init_args")},
        evaluation_precision="32-true",
    )


def finished(path: Path, wanted: Settings, seed: int) -> Results | None:
    """The results of a method that was measured before.

    Args:
        path: The file.
        wanted: Its settings now, see :func:`_settings`.
        seed: Its seed now.

    Returns:
        What is in the file; None where there is none.

    Raises:
        RunError: If it was measured with other settings, or cannot be read.
    """
    if not path.is_file():
        return None
    found = Results.read(path)
    changed = differences(_compared(found.made_by.settings), _compared(wanted))
    changed += [f"seed_everything: {found.made_by.seed} -> {seed}"] if found.made_by.seed != seed else []
    if changed:
        what = changed[0].removeprefix("model.init_args.")
        raise RunError(f"{path} was made with other settings ({what}): choose another run folder, or delete that file.")
    return found


def _compared(made: Settings) -> dict[str, Any]:
    """Settings in the form of a training's config; how many frames a batch has changes nothing."""
    data = dict(made.data_settings or {})
    arguments = {key: value for key, value in data["init_args"].items() if key != "batch_size"}
    data = json.loads(json.dumps({**data, "init_args": arguments}))
    return {"data": data, "model": {"init_args": made.method_settings}}


def learn(baseline: Baseline, data: FramesDataModule, folder: Path, made: Settings, seed: int) -> None:
    """Let a baseline learn from the frames to train on, and say what that took.

    Args:
        baseline: The method.
        data: A data module.
        folder: Where its results go. What it keeps of its learning is in ``learning-KEY``, where the key stands for
            all settings, the frames and targets, and the seed: so what an interrupted call has left is gone on with, or
            not touched.
        made: Its settings.
        seed: The seed.
    """
    data.setup("fit")
    dataset = data.dataset("train")
    told = json.dumps([made.method_settings, dataset.kept, seed], sort_keys=True)
    key = hashlib.sha256(told.encode()).hexdigest()[:8]
    begin, processor = time.perf_counter(), time.process_time()
    baseline.learn(Lesson(dataset, folder / f"learning-{key}", seed))
    spent, busy = time.perf_counter() - begin, time.process_time() - processor
    print(f"learnt from {len(dataset)} unlabelled frames in {spent:.0f} s, {busy:.0f} s of the processor", flush=True)


def measure(baseline: Baseline, data: FramesDataModule, folder: Path) -> tuple[MaskMetrics, dict[str, Any]]:
    """Run the test loop over a baseline.

    Args:
        baseline: The method.
        data: A data module after ``setup("test")``.
        folder: Where its picture sheet goes, ``images/test_sheet.png``.

    Returns:
        What has measured it; and seconds per frame, by the clock and of the processor.
    """
    dataset = data.dataset("test")
    clips = data.whole_clips("test") if baseline.whole_clips else dataset.clips
    frames = [ClipFrames(clip, dataset.frame_numbers(number)) for number, clip in enumerate(clips)]
    metrics, module = MaskMetrics(), BaselineModule(baseline, frames)
    trainer = measuring_trainer([metrics, MaskImages(directory=str(folder / "images"))], folder, progress=True)
    trainer.test(module, datamodule=data, verbose=False)
    return metrics, module.watch.per_frame()


def run_method(
    name: str,
    arguments: Mapping[str, Any],
    folder: Path,
    data: FramesDataModule,
    config: Mapping[str, Any],
    command: str,
) -> Results:
    """Measure one method and write its ``results.json``, unless that was done before.

    Args:
        name: The method.
        arguments: Its arguments.
        folder: The run folder.
        data: A data module after ``setup("test")``.
        config: The merged settings of the data.
        command: What the user typed, for the record.

    Returns:
        What is in the file: as of ``evaluate``; ``made_by`` has ``seconds_per_frame`` and
        ``processor_seconds_per_frame`` too.

    Raises:
        RunError: If the method cannot run, or was measured with other settings.
    """
    own = folder / "baselines" / name
    transductive = data.transductive if METHODS[name].learns else None
    path, wanted = own / RESULTS["held_out"], _settings(name, arguments, config, transductive)
    seed = int(config["seed_everything"] or 0)
    before = finished(path, wanted, seed)
    if before is not None:
        print(f"{name}: finished before, {path}", flush=True)
        return before
    print(f"{name}: {len(data.dataset('test'))} frames", flush=True)
    pl.seed_everything(seed, workers=True, verbose=False)
    baseline = METHODS[name](**arguments)
    if baseline.learns:
        learn(baseline, data, own, wanted, seed)
    metrics, seconds = measure(baseline, data, own)
    made_by = MadeBy(
        command=command,
        **provenance.commit(),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seed=seed,
        settings=replace(wanted, threshold=metrics.threshold, thresholds=metrics.test.levels),
        versions=provenance.versions(),
        labels_used=f"{baseline.labels}; {BEST}",
        **seconds,
    )
    results = Results.of(metrics.results, made_by)
    results.write(path)
    return results
