"""``gpu-check``: both stages in every precision, plain and compiled, with their speed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from backdrop.errors import RunError, one_line
from callbacks import NanGuard
from experiments.benchmarks.gpu import WARM_UP, StepTimer, require_gpu
from experiments.runs.composition import Stage, model_and_data
from experiments.runs.trainers import measuring_trainer
from lightning_modules import InpaintingModule, SegmentationModule
from lightning_modules.building import build, without_files

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
PRECISIONS: tuple[Precision, ...] = ("32-true", "16-mixed", "bf16-mixed")


@dataclass(frozen=True)
class Outcome:
    """How a stage trained in one setting.

    Attributes:
        stage: ``inpaint`` or ``segment``.
        precision: Lightning's name of it.
        compiled: Whether ``torch.compile`` was used.
        speed: Training images per second; 0 where it failed.
        loss: Training loss at the last step; NaN where it failed.
        failure: What went wrong, in one line; empty where nothing did.
    """

    stage: str
    precision: str
    compiled: bool
    speed: float = 0.0
    loss: float = float("nan")
    failure: str = ""

    def __str__(self) -> str:
        """One line of the report."""
        how = f"{self.stage:<8} {self.precision:<10} {'compiled' if self.compiled else 'plain':<8}"
        return f"{how} {self.failure or f'{self.speed:9.1f} images/s   loss {self.loss:.4f}'}"


def check(
    profile: str,
    data: str,
    batch_size: int,
    steps: int,
    *,
    accelerator: str = "cuda",
    precisions: Sequence[Precision] = PRECISIONS,
    warm_up: int = WARM_UP,
    backend: str = "inductor",
) -> Iterator[Outcome]:
    """Train both stages for a few steps in every setting, without the perceptual loss and pre-trained weights.

    All steps see one batch of noise that lies on the device already: no loader has a part in the figures.

    Args:
        profile: Size profile.
        data: Data config that gives the frame size.
        batch_size: Frames in a batch.
        steps: Steps that are timed.
        accelerator: Lightning's name of the device.
        precisions: Lightning's names.
        warm_up: Steps before the timed ones.
        backend: Of ``torch.compile``.

    Yields:
        One outcome per stage, precision, and without and with ``torch.compile``, as soon as it is known.
    """
    with tempfile.TemporaryDirectory() as folder:
        inpainter = Path(folder) / "inpaint.ckpt"
        stages: tuple[Stage, Stage] = ("inpaint", "segment")
        for stage, precision, compiled in product(stages, precisions, (False, True)):
            pl.seed_everything(0, verbose=False)
            torch.compiler.reset()  # it keeps but a few versions of a function, and every setting is one more
            timer, steps_in_all = StepTimer(warm_up), warm_up + steps
            how: dict[str, Any] = {"accelerator": accelerator, "precision": precision, "max_steps": steps_in_all}
            trainer = measuring_trainer([timer, NanGuard()], Path(folder), **how)
            try:
                settings = model_and_data(profile, stage, data)
                size = [round(side * settings["data"]["scale"]) for side in settings["data"]["image_size"]]
                image = torch.rand(batch_size, 3, *size, device=trainer.strategy.root_device)
                batch = {"image": image, "clip": ["noise"] * batch_size, "index": torch.arange(batch_size)}
                batches: DataLoader[dict[str, Any]] = DataLoader([batch] * steps_in_all, batch_size=None)  # type: ignore[arg-type]
                model = _model(stage, settings["model"], inpainter)
                wanted: Any = torch.compile(model, backend=backend) if compiled else model
                trainer.fit(wanted, batches)
                if not inpainter.exists():
                    trainer.save_checkpoint(inpainter)
                loss = float(trainer.callback_metrics["train/loss"])
                yield Outcome(stage, precision, compiled, timer.images / timer.seconds, loss)
            except Exception as error:  # whatever it is: the other settings are still of interest
                yield Outcome(stage, precision, compiled, failure=f"{type(error).__name__}: {one_line(error)}")


def _model(stage: str, settings: dict[str, Any], inpainter: Path) -> pl.LightningModule:
    """A stage's module, without what would have to be fetched."""
    if stage == "inpaint":
        return build(InpaintingModule, without_files(InpaintingModule, settings))
    return build(SegmentationModule, without_files(SegmentationModule, settings) | {"inpainter_ckpt": str(inpainter)})


def gpu_check(profile: str = "paper", data: str = "davis", batch_size: int = 16, steps: int = 50) -> None:
    """Say whether and how fast both stages train on a GPU, in every precision.

    Args:
        profile: Size profile.
        data: Data config that gives the frame size.
        batch_size: Frames in a batch.
        steps: Steps that are timed, after 10 others.

    Raises:
        RunError: If there is no GPU, or a setting does not train.
    """
    if min(batch_size, steps) < 1:
        raise RunError(f"--batch-size and --steps must be 1 or more, got {batch_size} and {steps}.")
    require_gpu("gpu-check")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}: {profile}, {data}", flush=True)
    failed = 0
    for outcome in check(profile, data, batch_size, steps):
        print(outcome, flush=True)
        failed += bool(outcome.failure)
    if failed:
        raise RunError(f"{failed} of {4 * len(PRECISIONS)} settings do not train on this GPU: see the lines above.")
