"""Where the processor's time goes in a step of a training: a callback that writes it down."""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from backdrop.files import write_text
from experiments.benchmarks.flops import StepFlops

NETWORKS = {"detector": "D", "segmenter.synthesis": "S", "inpainter": "I"}
"""Names of the networks in the two modules, and those of the paper."""

AUGMENTATION, REST, BACKWARD, OPTIMISER, BETWEEN = (
    "augmentation on the device", "objectives, crop and paste", "backward", "optimiser, logging", "between steps",
)  # fmt: skip
WAITING = "waiting"
"""Time by the clock between two steps in which this process does not compute: for the loader, or another program."""

_NOT_TIMED = 2  # steps: in the second one operations are counted
_SIDE, _PEAK_SECONDS = 1024, 1.0


class Parts(StepFlops):
    """Write down the processor's seconds of each part of a step, and what else tells how well it is used.

    Args:
        path: The file, JSON: ``parts``, seconds of each by name, medians over the steps; ``images`` in a step;
            ``flops`` of a step; ``peak``, operations a second in products of float32 matrices; ``memory``, bytes.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = Path(path)
        self.steps: list[dict[str, float]] = []
        self._images = 0
        self._now: dict[str, float] = {}
        self._begun = (0.0, 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen to the networks and to the augmentation."""
        for path, name in NETWORKS.items():
            if (network := _found(pl_module, path)) is not None:
                method = "predict" if hasattr(network, "predict") else "forward"  # what stage 1 calls of the inpainter
                setattr(network, method, self._timed(f"{name} forward", getattr(network, method)))
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        data.on_after_batch_transfer = self._timed(AUGMENTATION, data.on_after_batch_transfer)
        self._begun = _seconds(), time.perf_counter()

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """All since the last step was between steps, but for the augmentation."""
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        computed = _seconds() - self._begun[0]
        self._add(WAITING, max(0.0, time.perf_counter() - self._begun[1] - computed))
        self._add(BETWEEN, computed - self._now.get(AUGMENTATION, 0.0))
        self._images = len(batch["image"])
        self._add(REST, -_seconds())

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """The loss is there."""
        forward = sum(value for name, value in self._now.items() if name.endswith(" forward"))
        self._add(REST, _seconds() - forward)
        self._add(BACKWARD, -_seconds())

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The gradients are there."""
        self._add(BACKWARD, _seconds())
        self._add(OPTIMISER, -_seconds())

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """The step is done."""
        self._add(OPTIMISER, _seconds())
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.steps.append(self._now)
        self._now, self._begun = {}, (_seconds(), time.perf_counter())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the peak and write the file."""
        steps = self.steps[_NOT_TIMED:] or self.steps
        found: dict[str, Any] = {
            "parts": {name: statistics.median(step.get(name, 0.0) for step in steps) for name in steps[-1]},
            "images": self._images,
            "flops": (self.per_image or 0.0) * self._images,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "peak": product_rate(),
        }
        write_text(self.path, json.dumps(found, indent=1) + "\n")

    def _add(self, name: str, seconds: float) -> None:
        self._now[name] = self._now.get(name, 0.0) + seconds

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            begun = _seconds()
            result = function(*args, **kwargs)
            self._add(name, _seconds() - begun)
            return result

        return timed


def product_rate(side: int = _SIDE, seconds: float = _PEAK_SECONDS) -> float:
    """How fast this processor multiplies two square float32 matrices.

    Args:
        side: Rows and columns of each.
        seconds: How long to multiply.

    Returns:
        Floating-point operations for a second of the processor; a multiplication and an addition count as two.
    """
    left, right = (torch.rand(side, side) for _ in range(2))
    product, best = torch.empty_like(left), float("inf")
    until = _seconds() + seconds
    while _seconds() < until:
        begun = _seconds()
        torch.mm(left, right, out=product)
        best = min(best, _seconds() - begun)
    return 2 * side**3 / best


def _found(module: nn.Module, path: str) -> nn.Module | None:
    return dict(module.named_modules()).get(path)


def _seconds() -> float:
    return time.process_time()
