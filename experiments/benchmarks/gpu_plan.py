"""What ``gpu-proof`` is to do: its parts, what they begin from, and how they share the time."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torchvision import models

from backdrop.errors import RunError
from datamodules.sets.davis import Davis
from experiments.runs.composition import model_and_data
from lightning_modules.networks.backbone import names_a_file

Step = Literal["inpaint", "segment", "evaluate"]
STAGES: tuple[Literal["inpaint", "segment"], ...] = ("inpaint", "segment")
STEPS: tuple[Step, ...] = (*STAGES, "evaluate")
TRAINING: dict[Step, float] = {"inpaint": 3.0, "segment": 6.0, "evaluate": 0.0}
REST: dict[Step, float] = {"inpaint": 1.0, "segment": 1.0, "evaluate": 1.5}
"""How the time is shared: for the training of each step, and for all else of it (frames, networks, scores)."""
PERCEPTUAL = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
"""Networks of torchvision whose features LPIPS takes."""
WEIGHTS = "IMAGENET1K_V1"
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
        RunError: If it has no clip of a name.
    """
    begin, remarks = beginnings(profile)
    both = [*TINY] if tiny else [*FULL, f"--data.init_args.num_workers={min(8, os.cpu_count() or 1)}"]
    if importlib.util.find_spec("albumentations") is None:
        both += ["--data.init_args.frame_augment=false"]
        remarks.append("Augmentation: zoom and shift on the device alone, as albumentations is not installed")
    demo = [f"--data.init_args.{name}={count}" for name, count in FRAMES.items()] if tiny else []
    parts = [Part("demo", [], {stage: [*both, *demo, *begin[stage]] for stage in STAGES})]
    if root is not None:
        available = Davis(root).available_clips()
        if unknown := [name for name in clips if name not in available]:
            raise RunError(f"Clip '{unknown[0]}' is not in {root}; available: {', '.join(available)}.")
        chosen = list(clips) or available[:1]
        davis = [f"--data.init_args.root={root.resolve()}", f"--data.init_args.clips={json.dumps(chosen)}"]
        parts += [Part("davis", chosen, {stage: [*both, *davis, *begin[stage]] for stage in STAGES})]
    return parts, remarks
