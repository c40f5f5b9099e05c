"""``estimators``: gradient variance per cost of the estimators of G (Sec. 3.1, Eqs. 4, 5)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from rich.progress import track
from torch import Tensor

from backdrop.contracts import Batch
from backdrop.errors import RunError, UsageError
from experiments.results.table import Table, columns, row
from experiments.results.writers import terminal
from experiments.runs.restore import load_data, load_model, segment_folder
from lightning_modules import SegmentationModule
from lightning_modules.estimators import Estimator, Exact, Gumbel, Importance, LeaveOneOut, Uniform
from lightning_modules.objectives import Background


def candidates(epsilon: float) -> list[Estimator]:
    """The estimators that are compared.

    Args:
        epsilon: Floor of the sampling distribution, of those that have one.
    """
    return [
        *(Importance(count, epsilon) for count in (1, 2, 4)),
        *(Uniform(count) for count in (1, 4)),
        *(LeaveOneOut(count, epsilon) for count in (2, 4, 8)),
        *(Gumbel(count) for count in (1, 4)),
        Exact(),
    ]


@dataclass(frozen=True)
class GradientStatistics:
    """The gradient of G in the detector's logits, as an estimator draws it.

    Attributes:
        variance: Sum over cells of the variance, mean over frames.
        bias: Root mean square over frames of the difference of its mean from the exact gradient, over that of the exact
            gradient; what the mean of so many draws is off by chance is taken out.
        passes: Passes of the inpainter per frame.
    """

    variance: float
    bias: float
    passes: int


def gradient_statistics(
    density: Tensor, logit: Tensor, live: Tensor, estimator: Estimator, draws: int
) -> GradientStatistics:
    """Draw an estimator many times over frames of which G is known at every cell.

    Args:
        density: Error of the background per area of the box at every cell, (B, cells).
        logit: The detector's logits, (B, cells), -inf on cells that are not live.
        live: Which cells may be drawn, (cells,), bool.
        estimator: What draws.
        draws: How often it is drawn.

    Returns:
        Its variance, bias and cost.
    """
    exact, _ = _gradient(density, logit, live, Exact())
    total, square = torch.zeros_like(exact), torch.zeros_like(exact)
    passes = 0
    for _ in range(draws):
        gradient, passes = _gradient(density, logit, live, estimator)
        total += gradient
        square += gradient.square()
    mean = total / draws
    variance = float((square / draws - mean.square()).clamp_min(0).sum(dim=1).mean())
    off = float((mean - exact).square().sum(dim=1).mean()) - variance / draws
    bias = math.sqrt(max(0.0, off) / max(float(exact.square().sum(dim=1).mean()), 1e-30))
    return GradientStatistics(variance, bias, passes)


def _gradient(density: Tensor, logit: Tensor, live: Tensor, estimator: Estimator) -> tuple[Tensor, int]:
    """One draw's gradient in the logits, and how many cells of a frame it looked at."""
    logit = logit.detach().requires_grad_()
    samples = estimator.draw(logit.softmax(dim=1), live)
    error = density.gather(1, samples.cell)
    value = Background().expected(samples, error, torch.ones_like(error)).sum()
    (gradient,) = torch.autograd.grad(value, logit)
    return gradient, samples.cell.shape[1]


@torch.no_grad()
def cell_densities(model: SegmentationModule, batch: Batch) -> tuple[Tensor, Tensor, Tensor, float]:
    """G at every live cell of some frames.

    Args:
        model: A trained model.
        batch: Training frames.

    Returns:
        Error per area, (B, cells), 0 on cells that are not live; the detector's logits, (B, cells); which cells are
        live, (cells,); and seconds that a pass of the inpainter took per frame.
    """
    image = batch["image"]
    view = model.scene.view(batch, model.inpainter, model.training)
    assert view is not None, "training frames bring what the scene needs"
    proposals = model.detector(image)
    live = proposals.live
    density = torch.zeros_like(proposals.probability)
    begin = time.perf_counter()
    for cell in live.nonzero().flatten().tolist():
        density[:, cell] = model.background.density(view, proposals.box[:, cell])
    seconds = (time.perf_counter() - begin) / (int(live.sum()) * len(image))
    return density, proposals.probability.log(), live, seconds


def estimators(
    run: Path,
    checkpoint: Literal["last", "best"] = "last",
    batches: int = 4,
    draws: int = 1000,
    flatten: float = 1.0,
    seed: int = 0,
) -> None:
    """Compare the gradient variance per cost of the estimators of G, of a trained run.

    Args:
        run: Run folder of a trained model.
        checkpoint: The last one, or the best: that of the smallest val/loss.
        batches: How many batches of its training frames.
        draws: How often each estimator is drawn.
        flatten: Temperature of p: a large one is an early detector.
        seed: Of the frames and the draws.

    Raises:
        RunError: If the run holds no segmentation model.
        UsageError: If a number is not positive.
    """
    if min(draws, batches) < 1 or flatten <= 0:
        raise UsageError("--draws, --batches and --flatten must be positive")
    pl.seed_everything(seed, verbose=False)
    folder = segment_folder(run)
    model = load_model(folder, checkpoint)
    if not isinstance(model, SegmentationModule):
        raise RunError(f"{run} holds no segmentation model.")
    data = load_data(folder.config())
    data.setup("fit")
    found = []
    for batch in track(islice(data.train_dataloader(), batches), "painting every cell", batches):
        found.append(cell_densities(model, data.on_after_batch_transfer(batch, 0)))
    density, logit = torch.cat([part[0] for part in found]), torch.cat([part[1] for part in found])
    live, seconds = found[0][2], sum(part[3] for part in found) / len(found)
    rows = []
    epsilon = model.estimator.epsilon if isinstance(model.estimator, Importance) else Importance.epsilon
    for estimator in candidates(epsilon):
        one = gradient_statistics(density, logit / flatten, live, estimator, draws)
        cost = f"{1000 * seconds * one.passes:.2f}"
        numbers = (f"{one.variance:.3g}", f"{one.variance * one.passes:.3g}", f"{one.bias:.3f}")
        name, count = type(estimator).__name__, getattr(estimator, "samples", "")
        rows.append(row(name, str(count), str(one.passes), cost, *numbers))
    heads = columns("estimator", "K", "passes/frame", "ms/frame", "variance", "variance x passes", "bias")
    terminal(Table(f"gradient of G in the logits, {len(density)} frames, {draws} draws", heads, tuple(rows)))
