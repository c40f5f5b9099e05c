"""``baselines``: other methods on the test clips of a data module, one table of all."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl

from callbacks import MaskImages, MaskMetrics
from datamodules import FramesDataModule
from experiments.baselines import METHODS
from experiments.baselines.clip_frames import ClipFrames
from experiments.baselines.method import Baseline
from experiments.baselines.module import BaselineModule
from experiments.errors import RunError, UsageError, one_line, was_terminated
from experiments.results.evaluation import BEST, tester
from experiments.results.overview import methods_table
from experiments.results.record import RESULTS, MadeBy, Results, Settings
from experiments.results.writers import terminal
from experiments.runs import provenance
from experiments.runs.folder import differences
from experiments.signatures import Config, Data, Groups, Typed


def chosen_methods(names: Sequence[str]) -> list[str]:
    """The methods that were asked for, each once.

    Args:
        names: As typed; ``all`` means every one.

    Raises:
        UsageError: If there is no such method.
    """
    unknown = [name for name in names if name not in ("all", *METHODS)]
    if unknown:
        raise UsageError(f"There is no method {unknown[0]}: choose all, or some of {', '.join(METHODS)}.")
    return list(METHODS) if "all" in names else list(dict.fromkeys(names))


def settings(name: str, arguments: Mapping[str, Any], config: Mapping[str, Any]) -> Settings:
    """What decides the numbers of a method, as it is written down.

    Args:
        name: The method.
        arguments: Its arguments.
        config: The merged settings of the data.
    """
    data = config["data"]
    return Settings(
        data=config["run"].get("data"),
        profile="baseline",
        scale=data["init_args"].get("scale"),
        mode=None,
        method=name,
        method_settings=dict(arguments),
        data_settings={key: data[key] for key in ("class_path", "init_args")},
        evaluation_precision="32-true",
    )


def finished(path: Path, wanted: Settings, seed: int) -> Results | None:
    """The results of a method that was measured before.

    Args:
        path: The file.
        wanted: Its settings now, see :func:`settings`.
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
        raise RunError(f"{path} was made with other settings ({what}): choose another RUN, or delete that file.")
    return found


def _compared(made: Settings) -> dict[str, Any]:
    """Settings in the form of a training's config; how many frames a batch has changes nothing."""
    data = dict(made.data_settings or {})
    arguments = {key: value for key, value in data["init_args"].items() if key != "batch_size"}
    data = json.loads(json.dumps({**data, "init_args": arguments}))
    return {"data": data, "model": {"init_args": made.method_settings}}


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
    trainer = tester([metrics, MaskImages(directory=str(folder / "images"))], folder)
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
    path, wanted = own / RESULTS["held_out"], settings(name, arguments, config)
    seed = int(config["seed_everything"] or 0)
    before = finished(path, wanted, seed)
    if before is not None:
        print(f"{name}: finished before, {path}", flush=True)
        return before
    print(f"{name}: {len(data.dataset('test'))} frames", flush=True)
    pl.seed_everything(seed, workers=True, verbose=False)
    baseline = METHODS[name](**arguments)
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


def baselines(
    folder: Path,
    data: Data[pl.LightningDataModule],
    config: Config,
    arguments: Annotated[Mapping[str, Mapping[str, Any]], Groups(METHODS)],
    command: Typed,
    method: list[str] = ["all"],  # noqa: B006  (nothing changes it)
) -> int:
    """Measure other methods on the test clips of a data set, and print one table of them.

    Args:
        folder: Run folder; results are written to FOLDER/baselines/METHOD.
        data: Built from the options of fit.
        config: The settings of all options.
        arguments: Arguments of every method.
        command: As it was typed, for the record.
        method: Which methods, or all.

    Returns:
        Exit code: 1 where not one method could run.

    Raises:
        RunError: If the data module is none of ours, or its test clips have no annotation.
    """
    names = chosen_methods(method)
    if not isinstance(data, FramesDataModule):
        raise RunError(f"{type(data).__name__} is no FramesDataModule: baselines run on those only.")
    data.setup("test")
    dataset = data.dataset("test")
    if dataset.masks is None and dataset.boxes is None:
        raise RunError(f"The test clips of {type(data).__name__} have no masks or boxes: nothing to score.")
    results: dict[str, Results] = {}
    for name in names:
        try:
            results[name] = run_method(name, arguments[name], folder, data, config, command)
        except RunError as error:
            print(f"{name}: left out: {one_line(error)}", file=sys.stderr, flush=True)
        except Exception as error:  # of OpenCV, of torch: one method must not cost the others
            if was_terminated(error):
                raise
            print(f"{name}: left out: {one_line(error)} ({type(error).__name__})", file=sys.stderr, flush=True)
    if not results:
        return 1
    frames, (height, width) = next(iter(results.values())).numbers["frames"], data.working_size
    title = f"{config['run'].get('data') or type(data).__name__} at {width}x{height}, {frames} test frames"
    terminal(methods_table(results, f"{title}, mean over clips"))
    if missing := [name for name in names if name not in results]:
        print(f"left out, see above: {', '.join(missing)}")
    print(f"best rows: {BEST}")
    print(f"numbers: {folder / 'baselines' / '*' / RESULTS['held_out']}")
    return 0
