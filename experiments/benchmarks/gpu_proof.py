"""``gpu-proof``: both stages at the paper's own size on a GPU, as many steps as fit a budget of minutes."""

from __future__ import annotations

import gc
import json
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from backdrop.errors import RunError, UsageError, one_line
from backdrop.files import whole_file, write_text
from experiments.benchmarks.flops import StepFlops
from experiments.benchmarks.gpu import StepTimer, matrix_rate, require_gpu
from experiments.benchmarks.gpu_plan import Part, Trained, plan, training_seconds
from experiments.benchmarks.gpu_section import MEASURED, about_data, picture_of, section, today
from experiments.results.evaluation import evaluate
from experiments.runs import provenance
from experiments.runs.composition import Stage
from experiments.runs.folder import StageFolder
from experiments.runs.lightning_cli import run_lightning
from experiments.runs.stages import fit_arguments
from experiments.signatures import Typed

SIDE, TINY_SIDE = 8192, 64
"""Rows and columns of the matrices whose products give the peak."""
RECORD, SECTION = "gpu_proof.json", "gpu_proof.md"


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
                raise RunError(f"{path} was made with other settings: choose another run folder, or delete {self.run}.")
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
        limit = f"00:{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        arguments += [*part.options[stage], f"--trainer.max_time={limit}"]
        if stage == "segment":
            arguments += ["--model.init_args.inpainter_ckpt", str(StageFolder(folder / "inpaint").last)]
        print(f"{part.data}, {stage}: {seconds} s", flush=True)
        gc.collect()  # the networks of the stage before
        on_gpu = torch.cuda.is_available()
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        trainer = run_lightning(arguments).trainer
        timer = next(one for one in trainer.callbacks if isinstance(one, StepTimer))  # type: ignore[attr-defined]
        flops = next(one for one in trainer.callbacks if isinstance(one, StepFlops)).per_image  # type: ignore[attr-defined]
        speed, loss = timer.images_per_second, trainer.callback_metrics.get("train/loss")
        return Trained(
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

    def _score(self, part: Part) -> None:
        """Score a part, and keep its picture sheet."""
        folder = self.run / part.data
        numbers = evaluate(folder, self.command).numbers
        sheet = StageFolder(folder / "segment").images / "test_sheet.png"
        with Image.open(sheet) as picture, whole_file(self.run / picture_of(part)) as file:
            picture.convert("RGB").save(file, "JPEG", quality=90)
        part.scores = {name: numbers.get(name) for name in MEASURED}

    def write(self) -> None:
        """Write the record and the section."""
        settings = {"command": self.command, "profile": self.profile, "seed": self.seed, "remarks": self.remarks}
        made = {**provenance.commit(), "date": today(), "versions": provenance.versions()}
        whole = {**settings, **made, "parts": [asdict(part) for part in self.parts]}
        write_text(self.run / RECORD, json.dumps(whole, indent=2) + "\n")
        write_text(self.run / SECTION, section(self.parts, self.remarks, self.profile, self.command))


def _part(saved: dict[str, Any]) -> Part:
    """A part of a record."""
    return Part(**saved | {"trained": {stage: Trained(**one) for stage, one in saved["trained"].items()}})


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
        raise UsageError("--clips are of DAVIS: name its folder with --root")
    if not tiny:
        require_gpu("gpu-proof")
    profile, device = ("small", "cpu") if tiny else ("paper", "cuda")
    proof = Proof(run, profile, seed, command, *plan(profile, root, clips, tiny))
    proof.resume()
    machine = platform.processor() or platform.machine() if tiny else torch.cuda.get_device_name()
    peak = matrix_rate(torch.device(device), TINY_SIDE if tiny else SIDE)
    print(f"{machine}, torch {torch.__version__}: {peak / 1e12:.4g} TFLOP/s in bf16 matrix products", flush=True)
    for remark in (*proof.remarks, *about_data(proof.parts)):
        print(remark, flush=True)
    try:
        proof.make(budget_s - (time.monotonic() - begin), machine, peak)
    finally:
        if (run / SECTION).is_file():
            print(f"{(run / SECTION).read_text(encoding='utf-8')}\nnumbers: {run / RECORD}, section: {run / SECTION}")
