"""``train``: from videos to a model, both stages as far as they are used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from backdrop.documents import read_json
from backdrop.errors import UsageError
from backdrop.program import program
from experiments.runs.composition import RECORDINGS, Composition
from experiments.runs.folder import StageFolder
from experiments.runs.given_videos import root_of, run_name
from experiments.runs.lightning_cli import understand
from experiments.runs.plan import Plan
from experiments.runs.stages import fit_arguments, train_stage
from experiments.runs.suggestions import prediction
from experiments.signatures import Operands, Rest, Typed
from experiments.trials.recipe import data_options

DOUBTFUL = 0.6
"""Clips of which fewer frames have cues that agree are named at the end."""
MOST_NAMED = 5


def train(
    options: Rest,
    command: Typed,
    videos: Operands[Path] = [],  # noqa: B006  (nothing changes it)
    run: Path | None = None,
    each: bool = False,
    steps: int | None = None,
    background: str | None = None,
    profile: str = "small",
    seed: int = 0,
    held_out: float = 0.0,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    data: str = "videos",
    root: Path | None = None,
    processes: int = 1,
    dry_run: bool = False,
) -> None:
    """Train a model on videos, without labels. The same command goes on after an interruption.

    Args:
        options: What follows -- are options of fit, such as -- --trainer.precision 32-true; those of the data go to
            both stages, the others to stage 2.
        command: As it was typed, for the record.
        videos: A video, several, or a folder of videos or of folders of images. All of them train, unless a splits.json
            in the folder or --held-out says otherwise.
        run: Run folder (runs/NAME OF THE VIDEO OR FOLDER).
        each: Train a model for every video, in folders below the run folder.
        steps: Steps of each stage that is trained; as the profile says, where it is not given.
        background: What takes the place of the background: cues (targets from motion, colours and features; for your
            own videos), inpainting (the paper), temporal or static (plates).
        profile: Size profile, small or paper.
        seed: Seed of all that is random.
        held_out: Share of the frames, at the end of each clip, that is not trained on but kept for an evaluation.
        device: Where to train; auto takes a GPU where there is one.
        data: Data set, if it is another than your own videos, such as davis or demo.
        root: Folder of that data set.
        processes: With --each, videos at a time.
        dry_run: Only say what would be done.

    Raises:
        RunError: If a stage failed, or the folder holds a training of other settings.
        UsageError: If no video is named, or one is not there.
    """
    if videos and root is not None:
        raise UsageError(f"{videos[0]} and --root {root} both say where the data are: give one of them")
    if data in RECORDINGS and not videos and root is None:
        raise UsageError(f"Which videos? {program()} train VIDEOS --run runs/NAME")
    if not each and processes != 1:
        raise UsageError("--processes are videos at a time: it goes with --each")
    given = videos or ([root] if root is not None else [])
    run = run or Path("runs") / run_name(given, data)
    place = [f"--data.init_args.root={root_of(given, run)}"] if given else []
    shares = ["--data.init_args.val_fraction=0"] if data in RECORDINGS and not each else []
    shares += [f"--data.init_args.held_out={held_out}"] if held_out else []
    limits = [f"--trainer.max_steps={steps}"] if steps is not None else []
    limits += [f"--trainer.accelerator={device}"] if device != "auto" else []
    own = [*place, *shares, *limits, *options]
    scene = Composition("segment", data, profile, background).scene
    if each:
        from experiments.commands.sweep import sweep

        named = {"data": data, "profile": profile, "background": scene, "seed": seed}
        sweep("each", own, command, str(run), **named, processes=processes, continue_=True, dry_run=dry_run)  # type: ignore[arg-type]
        if not dry_run:
            print(f"models: {run}/*-seed{seed}; `{program()} predict` takes each of these folders", flush=True)
        return
    segment = [*fit_arguments("segment", run / "segment", data, profile, scene, seed), *own]
    inpaint = [*fit_arguments("inpaint", run / "inpaint", data, profile, scene, seed), *data_options(own), *limits]
    planned = understand(segment)
    plan = Plan(understand(inpaint) if planned.asks_inpainter else None, planned)
    print(f"training: {run}", flush=True)
    for line in plan.sentences():
        print(line, flush=True)
    if dry_run:
        return
    if plan.inpaint is not None:
        train_stage(inpaint, "stage 1")
    train_stage(segment, "stage 2")
    for line in _outcome(run, given if data in RECORDINGS else []):
        print(line, flush=True)


def _outcome(run: Path, videos: Sequence[Path]) -> list[str]:
    """What has come of it, and what to do next."""
    folder = StageFolder(run / "segment")
    lines = []
    if folder.trust() is None and not folder.score_file.is_file():
        lines.append(
            "No number tells how good the masks are: this background has no cues to compare them with, and the model "
            f"has no score. Look at {folder.images}."
        )
    elif folder.trust() is not None:
        shares: dict[str, float] = read_json(folder.trust_file).get("clips") or {}
        doubtful = sorted((share, name) for name, share in shares.items() if share < DOUBTFUL)
        if doubtful and len(shares) > 1:
            named = ", ".join(f"{name} {share:.0%}" for share, name in doubtful[:MOST_NAMED])
            more = f" and {len(doubtful) - MOST_NAMED} more" if len(doubtful) > MOST_NAMED else ""
            lines.append(f"The cues agree least in {named}{more}: look at these masks first.")
    return [*lines, f"model: {run}", f"next: {prediction(run, videos)}"]
