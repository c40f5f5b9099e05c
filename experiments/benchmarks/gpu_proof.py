"""``gpu-proof``: both stages at the paper's own size on a GPU, as many steps as fit a budget of minutes."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torchvision import models

from backdrop.errors import RunError, UsageError, one_line
from backdrop.files import whole_file, write_text
from datamodules.sets.davis import Davis
from experiments.benchmarks.flops import StepFlops
from experiments.benchmarks.gpu import StepTimer, matrix_rate, require_gpu
from experiments.results.evaluation import evaluate
from experiments.results.measures import MEASURES
from experiments.results.table import Cell, Row, Source, Table, columns, number, row
from experiments.results.writers import markdown
from experiments.runs import provenance
from experiments.runs.composition import Stage, model_and_data
from experiments.runs.folder import StageFolder
from experiments.runs.lightning_cli import run_lightning
from experiments.runs.stages import fit_arguments
from experiments.signatures import Typed
from lightning_modules.networks.backbone import names_a_file

Step = Literal["inpaint", "segment", "evaluate"]
STAGES: tuple[Stage, ...] = ("inpaint", "segment")
STEPS: tuple[Step, ...] = (*STAGES, "evaluate")
TRAINING: dict[Step, float] = {"inpaint": 3.0, "segment": 6.0, "evaluate": 0.0}
REST: dict[Step, float] = {"inpaint": 1.0, "segment": 1.0, "evaluate": 1.5}
"""How the time is shared: for the training of each step, and for all else of it (frames, networks, scores)."""
MEASURED = ("j_mean", "hit_rate")
SIDE, TINY_SIDE = 8192, 64
"""Rows and columns of the matrices whose products give the peak."""
PERCEPTUAL = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
"""Networks of torchvision whose features LPIPS takes."""
WEIGHTS = "IMAGENET1K_V1"
RECORD, SECTION = "gpu_proof.json", "gpu_proof.md"
FRAMES = {"train_clips": 1, "val_clips": 1, "test_clips": 1, "frames_per_clip": 4}
TINY = ("--config=debug.yaml", "--config=gpu_proof.yaml", "--trainer.max_steps=14", "--trainer.accelerator=cpu")
FULL = ("--config=gpu_proof.yaml", "--trainer.precision=bf16-mixed", "--trainer.accelerator=cuda")
"""Options of ``fit`` for both stages."""


@dataclass
class Trained:
    """How a stage trained.

    Attributes:
        seconds: Its budget.
        steps: How many it took.
        images_per_second: Speed of the steps after the first ten, the loader and the checkpoints included.
        flops_per_image: Floating-point operations of a step, forward and backward, for one image.
        share_of_peak: Of the rate at which this machine multiplies matrices.
        peak_memory: Most that torch had allocated on the GPU, in bytes.
        loss: Of the last step that was logged.
        machine: What trained it.
        peak: That rate, in floating-point operations per second.
    """

    seconds: int
    steps: int
    images_per_second: float | None
    flops_per_image: float | None
    share_of_peak: float | None
    peak_memory: int | None
    loss: float | None
    machine: str
    peak: float


@dataclass
class Part:
    """One data set of the proof.

    Attributes:
        data: Data config, which also names its run folder.
        clips: The clips that are trained on and scored; empty where the data set says which.
        options: Options of ``fit`` for each stage.
        trained: By stage, as far as it is done.
        scores: J and hit rate; empty before the evaluation.
        failure: What went wrong, in one line; empty where nothing did.
    """

    data: str
    clips: list[str]
    options: dict[str, list[str]]
    trained: dict[str, Trained] = field(default_factory=dict)
    scores: dict[str, float | None] = field(default_factory=dict)
    failure: str = ""

    def todo(self) -> list[Step]:
        """What is not done."""
        return [step for step in STEPS if not (self.scores if step == "evaluate" else step in self.trained)]


def training_seconds(left: float, todo: Sequence[Step]) -> int:
    """The budget of a stage: its part of the time that is left.

    Args:
        left: Seconds that are left for all that is to do.
        todo: That, in order; first the stage.

    Returns:
        Seconds, at least 1.
    """
    return max(1, int(left * TRAINING[todo[0]] / sum(TRAINING[step] + REST[step] for step in todo)))


def beginnings(profile: str) -> tuple[dict[str, list[str]], list[str]]:
    """What a training of a profile can begin from on this machine, without fetching anything.

    Args:
        profile: Size profile.

    Returns:
        Options of ``fit`` for each stage, and what to say of them.
    """
    model = model_and_data(profile, "segment", "demo")["model"]
    net, folder = model["reconstruction"]["perceptual_net"], f"{torch.hub.get_dir()}/checkpoints"
    options: dict[str, list[str]] = {stage: [] for stage in STAGES}
    remarks = list[str]()
    if net is not None:
        found = next((one for one in (net, "alex", "vgg") if _is_there(PERCEPTUAL[one], WEIGHTS)), None)
        options = {stage: [f"--model.init_args.reconstruction.perceptual_net={found or 'null'}"] for stage in STAGES}
        features = f"features of {PERCEPTUAL[found]}, from {folder}" if found else f"none, as {folder} has no weights"
        remarks.append(f"Perceptual loss: {features}")
    for name, group in (("detector", model["detector"]), ("segmenter.init_args", model["segmenter"]["init_args"])):
        if group["weights"] is None:
            continue
        there = _is_there(group["backbone"], group["weights"])
        options["segment"] += [] if there else [f"--model.init_args.{name}.weights=null"]
        origin = f"with weights {group['weights']}" if there else f"from scratch, as {folder} has no {group['weights']}"
        remarks.append(f"Encoder of the {name.partition('.')[0]}: {group['backbone']}, {origin}")
    return options, remarks


def _is_there(network: str, weights: str) -> bool:
    """Whether the file of published weights lies where torchvision seeks it."""
    if names_a_file(weights):
        return Path(weights).is_file()
    file = models.get_model_weights(network)[weights].url.rpartition("/")[2]
    return Path(torch.hub.get_dir(), "checkpoints", file).is_file()


def plan(profile: str, root: Path | None, clips: Sequence[str], tiny: bool) -> tuple[list[Part], list[str]]:
    """The parts of the proof.

    Args:
        profile: Size profile.
        root: Folder of DAVIS; None for the demo alone.
        clips: Clips of it; none for the first.
        tiny: Whether only the command itself is tried, on the CPU.

    Returns:
        The parts, and what to say of them.

    Raises:
        FileNotFoundError: If ``root`` is no folder of DAVIS.
    """
    begin, remarks = beginnings(profile)
    both = [*TINY] if tiny else [*FULL, f"--data.init_args.num_workers={min(8, os.cpu_count() or 1)}"]
    if importlib.util.find_spec("albumentations") is None:
        both += ["--data.init_args.frame_augment=false"]
        remarks.append("Augmentation: zoom and shift on the device alone, as albumentations is not installed")
    demo = [f"--data.init_args.{name}={count}" for name, count in FRAMES.items()] if tiny else []
    parts = [Part("demo", [], {stage: [*both, *demo, *begin[stage]] for stage in STAGES})]
    if root is not None:
        chosen = list(clips) or Davis(root).available_clips()[:1]
        davis = [f"--data.init_args.root={root.resolve()}", f"--data.init_args.clips={json.dumps(chosen)}"]
        parts += [Part("davis", chosen, {stage: [*both, *davis, *begin[stage]] for stage in STAGES})]
    return parts, remarks


@dataclass
class Proof:
    """The proof in a run folder.

    ::

        RUN/gpu_proof.json      everything that was measured; what is in it is not done again
            gpu_proof.md        the same as a section of docs/benchmarks.md
            images/             its pictures
            demo/               run folder of each part
            davis/

    Attributes:
        run: The folder.
        profile: Size profile.
        seed: Of all trainings.
        command: What the user typed.
        parts: The parts.
        remarks: What to say of them.
    """

    run: Path
    profile: str
    seed: int
    command: str
    parts: list[Part]
    remarks: list[str]

    def resume(self) -> None:
        """Take over what an earlier call has done.

        Raises:
            RunError: If it was called with other settings.
        """
        path = self.run / RECORD
        if not path.is_file():
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            known = {part["data"]: _part(part) for part in before["parts"]}
            settings = (before["profile"], before["seed"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path} is damaged: delete {self.run}, and the proof begins anew.") from error
        for part in self.parts:
            old = known.pop(part.data, part)
            if old.trained and (old.options, settings) != (part.options, (self.profile, self.seed)):
                raise RunError(f"{path} was made with other settings: choose another RUN, or delete {self.run}.")
            part.trained, part.scores = old.trained, old.scores
        self.parts += [old for old in known.values() if not old.todo()]

    def make(self, seconds: float, machine: str, peak: float) -> None:
        """Do what is not done yet, and write it down step by step.

        Args:
            seconds: Time for all of it.
            machine: Name of the device.
            peak: Its rate.

        Raises:
            RunError: If a part failed, or the time was too short; the others are done before.
        """
        end = time.monotonic() + seconds
        for place, part in enumerate(self.parts):
            try:
                for step in part.todo():
                    todo = [*part.todo(), *(one for other in self.parts[place + 1 :] for one in other.todo())]
                    left = end - time.monotonic()
                    if left <= 0:
                        raise RunError("the time was up before it: the same command goes on")
                    if step == "evaluate":
                        self._score(part)
                    else:
                        part.trained[step] = self._train(part, step, training_seconds(left, todo), machine, peak)
                    self.write()
            except Exception as error:  # whatever it is: the other parts are still of interest
                part.failure = f"{step}: {type(error).__name__}: {one_line(error)}"
                print(f"{part.data}: {part.failure}", flush=True)
            self.write()
        failed = [part.data for part in self.parts if part.failure]
        if failed:
            raise RunError(f"gpu-proof is not complete ({', '.join(failed)}): see {self.run / SECTION}.")

    def _train(self, part: Part, stage: Stage, seconds: int, machine: str, peak: float) -> Trained:
        """Train a stage until its time is over, with the command that trains it everywhere."""
        folder = self.run / part.data
        arguments = fit_arguments(stage, folder / stage, part.data, self.profile, "inpainting", self.seed)
        arguments += [*part.options[stage], f"--trainer.max_time=00:00:{seconds // 60:02d}:{seconds % 60:02d}"]
        if stage == "segment":
            arguments += ["--model.init_args.inpainter_ckpt", str(StageFolder(folder / "inpaint").last)]
        print(f"{part.data}, {stage}: {seconds} s", flush=True)
        on_gpu = torch.cuda.is_available()
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        trainer = run_lightning(arguments).trainer
        timer = next(one for one in trainer.callbacks if isinstance(one, StepTimer))  # type: ignore[attr-defined]
        flops = next(one for one in trainer.callbacks if isinstance(one, StepFlops)).per_image  # type: ignore[attr-defined]
        speed, loss = timer.images_per_second, trainer.callback_metrics.get("train/loss")
        found = Trained(
            seconds=seconds,
            steps=trainer.global_step,
            images_per_second=speed,
            flops_per_image=flops,
            share_of_peak=speed * flops / peak if speed and flops else None,
            peak_memory=torch.cuda.max_memory_allocated() if on_gpu else None,
            loss=None if loss is None else float(loss),
            machine=machine,
            peak=peak,
        )
        del trainer, timer, loss
        gc.collect()  # the networks, before the next ones are built
        if on_gpu:
            torch.cuda.empty_cache()
        return found

    def _score(self, part: Part) -> None:
        """Score a part, and keep its picture sheet."""
        folder = self.run / part.data
        numbers = evaluate(folder, self.command).numbers
        sheet = StageFolder(folder / "segment").images / "test_sheet.png"
        with Image.open(sheet) as picture, whole_file(self.run / _picture(part)) as file:
            picture.convert("RGB").save(file, "JPEG", quality=90)
        part.scores = {name: numbers.get(name) for name in MEASURED}

    def write(self) -> None:
        """Write the record and the section."""
        settings = {"command": self.command, "profile": self.profile, "seed": self.seed, "remarks": self.remarks}
        made = {**provenance.commit(), "date": _today(), "versions": provenance.versions()}
        whole = {**settings, **made, "parts": [asdict(part) for part in self.parts]}
        write_text(self.run / RECORD, json.dumps(whole, indent=2) + "\n")
        write_text(self.run / SECTION, self.section())

    def section(self) -> str:
        """The section of ``docs/benchmarks.md``."""
        machines = {(one.machine, one.peak) for part in self.parts for one in part.trained.values()}
        peaks = "".join(f" {name} multiplies at {peak / 1e12:.4g} TFLOP/s." for name, peak in sorted(machines))
        heads = columns(
            "data", "stage", "s", "steps", "images/s", "GFLOP/image", "share of peak", "GiB", "loss",
            *(MEASURES[name] for name in MEASURED), words=2,
        )  # fmt: skip
        rows = [line for part in self.parts for line in _rows(part)]
        failures = [f"{part.data} is not complete: {part.failure}" for part in self.parts if part.failure]
        found = provenance.commit()
        commit = provenance.named(found["commit"], found["dirty"])
        remarks = [*self.remarks, *self.about_data(), *failures]
        source = Source("all", (self.command,), (provenance.short(commit),) if commit else ())
        heading = ", ".join([f"#### {_today()}", *sorted({name for name, _ in machines})])
        title = f"{self.profile} profile, torch {torch.__version__}"
        table = Table(title, heads, tuple(rows), remarks=tuple(remarks), sources=(source,))
        pictures = [f"![{part.data}]({_picture(part)})" for part in self.parts if part.scores]
        text = (
            "As many steps as fit the seconds; speed without the first ten steps, with the loader and the checkpoints; "
            "operations of a training step, forward and backward; their share of the rate of matrix products in "
            f"bfloat16.{peaks}"
        )
        return "\n\n".join([heading, text, markdown([table]).strip(), *pictures]) + "\n"

    def about_data(self) -> list[str]:
        """What to say of the data sets."""
        named = [f"{', '.join(part.clips)} of {part.data}" for part in self.parts if part.clips]
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


def _picture(part: Part) -> str:
    return f"images/gpu_proof_{part.data}.jpg"


def _part(saved: dict[str, Any]) -> Part:
    """A part of a record."""
    return Part(**saved | {"trained": {stage: Trained(**one) for stage, one in saved["trained"].items()}})


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def gpu_proof(
    command: Typed,
    run: Path = Path("runs/gpu-proof"),
    root: Path | None = None,
    clips: list[str] = [],  # noqa: B006  (nothing changes it)
    seed: int = 0,
    budget_s: float = 660.0,
    tiny: bool = False,
) -> None:
    """Train both stages at the paper's own size on a GPU, and write speed, scores and pictures as a page.

    Args:
        command: As it was typed, for the record.
        run: Its folder; what is done in it is kept, and an interrupted stage goes on.
        root: Folder of DAVIS; without it the demo alone is trained on.
        clips: Clips of DAVIS to train on and to score; the first one without them.
        seed: Of all trainings.
        budget_s: Seconds for all of it.
        tiny: Try the command itself, on the CPU: the small profile on tiny frames, whose numbers mean nothing.

    Raises:
        RunError: If there is no GPU, or a part failed.
        UsageError: If clips are named without a folder, or there is no time.
    """
    begin = time.monotonic()
    if not budget_s > 0:
        raise UsageError(f"--budget-s is {budget_s:g}, expected seconds above 0")
    if clips and root is None:
        raise UsageError("--clips are of DAVIS: name its folder with --root (make gpu-proof ROOT=...)")
    if not tiny:
        require_gpu("gpu-proof")
    profile, device = ("small", "cpu") if tiny else ("paper", "cuda")
    proof = Proof(run, profile, seed, command, *plan(profile, root, clips, tiny))
    proof.resume()
    machine = platform.processor() or platform.machine() if tiny else torch.cuda.get_device_name()
    peak = matrix_rate(torch.device(device), TINY_SIDE if tiny else SIDE)
    print(f"{machine}, torch {torch.__version__}: {peak / 1e12:.4g} TFLOP/s in bf16 matrix products", flush=True)
    for remark in (*proof.remarks, *proof.about_data()):
        print(remark, flush=True)
    try:
        proof.make(budget_s - (time.monotonic() - begin), machine, peak)
    finally:
        if (run / SECTION).is_file():
            print(f"{(run / SECTION).read_text(encoding='utf-8')}\nnumbers: {run / RECORD}, section: {run / SECTION}")
