"""``flops``: parameters and floating-point operations of the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.results.table import Row, Table, columns, row
from experiments.results.writers import terminal
from experiments.runs.composition import model_and_data
from lightning_modules import InpaintingModule, SegmentationModule
from lightning_modules.building import build, without_files

PROFILES = ("small", "paper")


@dataclass(frozen=True)
class Cost:
    """Size of one network.

    Attributes:
        name: D, S or I, and what it is.
        parameters: Number of trainable values.
        flops: Floating-point operations for one image (a multiplication and an addition count as two).
        size: (height, width) in pixels of what the network is given.
    """

    name: str
    parameters: int
    flops: int
    size: tuple[int, int]


def measure(name: str, network: nn.Module, *inputs: Tensor) -> Cost:
    """Count the parameters and operations of one network on one image."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(*inputs)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(name, parameters, int(counter.get_total_flops()), (inputs[0].shape[-2], inputs[0].shape[-1]))


class StepFlops(pl.Callback):
    """Count the operations of one training step, forward and backward: those of the second step, before any is timed.

    As everywhere here these are the operations of matrix products and convolutions; a perceptual loss counts too.

    Attributes:
        per_image: Operations for one image; None before the second step.
    """

    def __init__(self) -> None:
        self.per_image: float | None = None
        self._seen = 0
        self._counter = FlopCounterMode(display=False)

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Begin to count at the second step."""
        self._seen += 1
        if self._seen == 2:
            self._counter.__enter__()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Count no further."""
        if self._seen == 2:
            self._counter.__exit__(None, None, None)
            self.per_image = self._counter.get_total_flops() / len(batch["image"])

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Count no further where the step that is counted fails."""
        if self._seen == 2 and self.per_image is None:
            self._counter.__exit__(None, None, None)


def profile_costs(profile: str, data: str) -> list[Cost]:
    """Measure the three networks of a profile, with random weights.

    Args:
        profile: ``small`` or ``paper``.
        data: Data config that gives the frame size.

    Returns:
        The costs of D, S and I per image.
    """
    inpaint, segment = (model_and_data(profile, stage, data) for stage in ("inpaint", "segment"))
    stage1 = build(InpaintingModule, without_files(InpaintingModule, inpaint["model"]))
    stage2 = build(SegmentationModule, without_files(SegmentationModule, segment["model"]))
    height, width = (round(side * inpaint["data"]["scale"]) for side in inpaint["data"]["image_size"])
    image = torch.zeros(1, 3, height, width)
    crop = torch.zeros(1, 3, *stage2.segmenter.crop_size)
    return [
        measure("D detector", stage2.detector, image),
        measure("S synthesis", stage2.segmenter.synthesis, crop),
        measure("I inpainter", stage1.inpainter, image, torch.zeros(1, 1, height, width)),
    ]


def flops(profile: str | None = None, data: str = "demo") -> None:
    """Count parameters and floating-point operations of the networks.

    Args:
        profile: One size profile only.
        data: Data config that gives the frame size.
    """
    rows = list[Row]()
    for one in [profile] if profile else PROFILES:
        costs = profile_costs(one, data)
        for place, cost in enumerate(costs):
            numbers = (f"{cost.size[0]}x{cost.size[1]}", f"{cost.parameters:,}", f"{cost.flops / 1e9:.3f}")
            rows.append(row(one, cost.name, *numbers, rule=bool(rows) and place == 0))
        inference = costs[0].flops + costs[1].flops
        total = sum(cost.parameters for cost in costs)
        rows.append(row(one, "all; inference D + S", "", f"{total:,}", f"{inference / 1e9:.3f}"))
    heads = columns("profile", "network", "input", "parameters", "GFLOPs", words=2)
    terminal(Table("one image, forward pass; a multiply-add is 2 FLOPs", heads, tuple(rows)))
