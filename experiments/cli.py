"""The command line: ``python -m experiments fit|validate|test|prepare|inspect|evaluate|predict|flops|benchmark|…``."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from jsonargparse import ArgumentError

from experiments.benchmarks import benchmark, estimators, flops, gpu_check
from experiments.commands import baselines, dashboard, davis, evaluate, inspect, predict, prepare, sweep, table, trial
from experiments.commands import report as run_report
from experiments.errors import Terminated, UsageError, one_line, report, was_terminated
from experiments.runs.lightning_cli import StageFinished, run_lightning

COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "baselines": baselines.main,
    "davis": davis.main,
    "evaluate": evaluate.main,
    "predict": predict.main,
    "flops": flops.main,
    "prepare": prepare.main,
    "benchmark": benchmark.main,
    "inspect": inspect.main,
    "estimators": estimators.main,
    "gpu-check": gpu_check.main,
    "sweep": sweep.main,
    "trial": trial.main,
    "table": table.main,
    "report": run_report.main,
    "dashboard": dashboard.main,
}
AS_FIT = ("fit", "validate", "test", "prepare", "inspect", "baselines")
"""Commands that are configured as ``fit`` is."""

SOURCE = Path(__file__).resolve().parent.parent
ROOMS = ("callbacks", "datamodules", "experiments", "lightning_modules")
_format_of_libraries = warnings.formatwarning

USAGE = """usage: python -m experiments COMMAND ...

  fit       train one stage:  --config base.yaml --config inpaint.yaml --config data/demo.yaml
                              --config profiles/small/inpaint.yaml --trainer.default_root_dir runs/demo/inpaint
  validate  the validation loop once, same options
  test      the test loop once, same options
  prepare   decode the frames of a data set into the store, same options; the first fit does it too
  inspect   what a data set holds, its problems and a contact sheet, same options and --output DIR
  evaluate  RUN                      score a trained run on its test clips, write RUN/results.json
  baselines RUN --method NAME ...    other methods on the test clips, same options; one table
  davis     RUN --root DIR           for every clip of DAVIS a model of its own, then one table
  sweep     FILE                     every trial of a sweep (fig3, table3, ...) and their table, resumable
  trial     --run DIR --config=...   one trial of a sweep, which `wandb agent` runs
  table     FILE...                  results of runs, sweeps and baselines as Markdown, LaTeX or CSV
  predict   RUN INPUT                overlays, masks and boxes of an image, a folder of images or a video
  flops                              parameters and floating-point operations of the networks
  estimators RUN                     gradient variance per cost of the estimators of G, of a trained run
  report    DIR                      one HTML page that compares the runs in a folder, without an account
  dashboard                          lay out the W&B workspace of a project: panels, pictures, sweep, run table
  benchmark data                     how fast frames are loaded, from the store and from the source
  gpu-check                          whether and how fast both stages train on a GPU, in every precision

Configs are sought in the working directory, then in experiments/configs. COMMAND --help says more."""


def _quiet() -> None:
    """Silence messages that tell a user of this program nothing, each with its reason; let the data modules speak."""
    said = logging.getLogger("datamodules")
    said.setLevel(logging.INFO)
    said.handlers = [logging.StreamHandler()]  # the error output as it is now
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # device lists and advertisements
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # "Seed set to …"
    ignore = [
        "LightningCLI's args parameter",  # our main() passes them on purpose, after finding the configs
        ".*does not have many workers.*",  # the store is fast; the number is the user's choice
        ".*resuming from a checkpoint.*dataloader",  # a resumed epoch draws its frames anew: random order anyway
        ".*exists and is not empty.*",  # resuming writes into the folder it was interrupted in
        ".*'pretrained' is deprecated.*",  # lpips and torchvision
        ".*isinstance.treespec, LeafSpec.*is deprecated.*",  # Lightning's own business
        ".*is smaller than the logging interval.*",  # short trainings log what they have
        ".*module.s. in eval mode at the start of training.*",  # the painter is frozen on purpose
        ".*lr_scheduler.step.*before.*optimizer.step.*",  # a resumed schedule
    ]
    for message in ignore:
        warnings.filterwarnings("ignore", message=message)
    warnings.formatwarning = _plain_warning


def _plain_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning of ours is for the user, whom its place in the source tells nothing."""
    ours = any(Path(filename).is_relative_to(SOURCE / room) for room in ROOMS)
    return f"warning: {message}\n" if ours else _format_of_libraries(message, category, filename, lineno, line)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise :class:`Terminated`, once; only the main thread can hear it."""

    def terminate(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # while things are brought to an end
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and turn every failure into one line.

    Args:
        arguments: Command-line arguments; None takes those of the process.

    Returns:
        Exit code: 0 done, 1 failed, 2 wrong arguments, 130 interrupted, 143 terminated.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    _quiet()
    try:
        with _terminable():
            if arguments[0] in COMMANDS:
                return COMMANDS[arguments[0]](arguments[1:])
            run_lightning(arguments)
    except StageFinished as done:
        print(one_line(done), flush=True)
    except KeyboardInterrupt as interruption:
        print(f"interrupted{interruption}.", file=sys.stderr)
        return 143 if isinstance(interruption, Terminated) else 130
    except SystemExit as left:
        if not isinstance(left.__context__, KeyboardInterrupt):
            raise
        print("interrupted.", file=sys.stderr)  # Lightning turns the interruption of a test loop into an exit
        return 143 if isinstance(left.__context__, Terminated) else 130
    except (ArgumentError, UsageError) as error:
        report(error, arguments[0] if arguments[0] in AS_FIT else None)
        return 2
    except Exception as error:
        if was_terminated(error):  # its loader before this process itself
            print("interrupted.", file=sys.stderr)
            return 143
        report(error)
        return 1
    return 0
