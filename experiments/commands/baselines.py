"""``baselines``: other methods on the test clips of a data module, one table of all."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl

from backdrop.errors import RunError, UsageError, one_line, was_terminated
from datamodules import FramesDataModule
from experiments.baselines import METHODS
from experiments.baselines.measuring import run_method
from experiments.results.evaluation import BEST
from experiments.results.overview import methods_table
from experiments.results.record import RESULTS, Results
from experiments.results.writers import terminal
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
    print(f"rows at the best threshold: {BEST}")
    print(f"numbers: {folder / 'baselines' / '*' / RESULTS['held_out']}")
    return 0
