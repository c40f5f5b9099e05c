"""``python -m experiments davis RUN``: for every clip of a DAVIS folder a model of its own, then one table of all."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from datamodules import DavisDataModule
from experiments.errors import CommandParser, RunError, one_line
from experiments.results.combined import combine
from experiments.results.evaluation import evaluate
from experiments.results.overview import show
from experiments.results.record import RESULTS
from experiments.runs.stages import Stage, fit_arguments, train_stage
from experiments.signatures import Words

STAGES: tuple[Stage, Stage] = ("inpaint", "segment")

def stage_arguments(stage: Stage, folder: Path, clip: str, options: Namespace) -> list[str]:
    """The command line of one stage of one clip.

    Args:
        stage: ``inpaint`` or ``segment``.
        folder: The clip's run folder.
        clip: Its name.
        options: Those of :func:`parse`.

    Returns:
        Arguments of ``python -m experiments``, the settings the same for every clip.
    """
    fit = fit_arguments(stage, folder / stage, "davis", options.profile, options.background, options.seed)
    own = shlex.split(options.inpaint_options)
    if stage == "segment":
        painter = folder / "inpaint" / "checkpoints" / "last.ckpt"
        own = ["--model.init_args.inpainter_ckpt", str(painter), *options.segment_options]
    data = ["--data.init_args.root", str(options.root), "--data.init_args.clips", f"[{clip}]"]
    data += ["--data.init_args.resolution", options.resolution, "--data.init_args.held_out", str(options.held_out)]
    return [*fit, *data, *own]


def train_clip(folder: Path, clip: str, options: Namespace) -> None:
    """Both stages of one clip; what is finished is skipped, what was interrupted goes on.

    Args:
        folder: The clip's run folder.
        clip: Its name.
        options: Those of :func:`parse`.

    Raises:
        KeyboardInterrupt: If a stage was interrupted.
        RunError: If a stage failed; it has said why.
    """
    for stage in STAGES:
        train_stage(stage_arguments(stage, folder, clip, options), f"the {stage} stage of clip '{clip}'")


def argument_parser() -> CommandParser:
    """The options of ``davis``."""
    parser = CommandParser(prog="python -m experiments davis", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder, such as runs/davis; each clip has a folder in it")
    parser.add_argument("--root", type=Path, required=True, help="folder that holds JPEGImages and Annotations")
    parser.add_argument("--clips", nargs="+", metavar="CLIP", help="these clips instead of all")
    parser.add_argument("--resolution", default="480p", help="subfolder of JPEGImages and Annotations (480p)")
    parser.add_argument("--profile", default="small")
    parser.add_argument("--background", default="temporal", choices=("temporal", "static", "inpainting"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", type=float, default=0.0, help="train on all but this share, evaluate that alone")
    parser.add_argument("--inpaint-options", default="", metavar="'...'", help="options of fit for stage 1, one string")
    parser.epilog = "what follows -- are options of fit for stage 2"
    return parser


def parse(arguments: Sequence[str]) -> Namespace:
    """Understand the command line.

    Args:
        arguments: What follows the command's name.

    Returns:
        The options; ``segment_options`` is what follows ``--``.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    options = argument_parser().parse_args(arguments[:end])
    options.segment_options = list(arguments[end + 1 :])
    return options


def main(arguments: Words) -> int:
    """The command ``davis``.

    Args:
        arguments: What follows the command's name.

    Returns:
        Exit code.

    Raises:
        RunError: If a clip failed; the others are trained and scored first.
    """
    options = parse(arguments)
    data = partial(DavisDataModule, str(options.root), resolution=options.resolution)
    names = options.clips or data().available_clips()
    for clip in data(clips=names).split_clips("test"):  # refuses unknown clips
        if not clip.annotated:
            raise RunError(f"Clip '{clip.name}' has no masks to score it with: name the others with --clips.")
    command = shlex.join(["python", "-m", "experiments", "davis", *arguments])
    failed = list[str]()
    for number, clip in enumerate(names, start=1):
        print(f"clip {number} of {len(names)}: {clip}", flush=True)
        try:
            train_clip(options.run / clip, clip, options)
            numbers = evaluate(options.run / clip, command).numbers
        except RunError as error:
            print(f"error: {one_line(error)}; going on with the next clip", file=sys.stderr, flush=True)
            failed.append(clip)
            continue
        print(f"{clip}: J {numbers['j_mean']:.3f}, hit rate {numbers['hit_rate']:.3f}", flush=True)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(names)} clips failed ({', '.join(failed)}), so {options.run}/results.json is not "
            "written: mend what is said above, and the same command goes on; or name the other clips with --clips."
        )
    results = combine({clip: options.run / clip for clip in names}, command)
    results.write(options.run / RESULTS["held_out"])
    show(options.run / RESULTS["held_out"], results)
    print(f"pictures: {options.run / '*' / 'segment' / 'images' / 'test_sheet.png'}")
    return 0
