"""A tiny data set and module that keep the batch contract and the step output, for the tests of the callbacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from callbacks.pictures.panels import Frame

SIZE, EVALUATION_SIZE = (24, 32), (48, 64)


class ToyFrames(Dataset[dict[str, Any]]):
    """Frames with a bright ellipse, (24, 32), whose true mask has (48, 64) pixels."""

    def __init__(
        self,
        clips: dict[str, int],
        annotated: Callable[[int], bool] | None = None,
        masks: bool = True,
        box: Callable[[int], tuple[float, float, float, float]] | None = None,
    ) -> None:
        """Set up ``clips`` (frames by name); ``annotated`` says by position in the data set which have a mask.

        ``box`` gives the true box (cx, cy, sx, sy) by position, if there are true boxes.
        """
        self.frames = [(name, 10 * number) for name, count in clips.items() for number in range(count)]
        self.annotated = annotated or (lambda position: True)
        self.masks = masks
        self.box = box

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.frames)

    def __getitem__(self, position: int) -> dict[str, Any]:
        """Draw one frame; every fifth has no subject."""
        clip, index = self.frames[position]
        generator = torch.Generator().manual_seed(position)
        x, y = (torch.rand(2, generator=generator) - 0.5).tolist()
        rows = torch.linspace(-1, 1, EVALUATION_SIZE[0])[:, None]
        columns = torch.linspace(-1, 1, EVALUATION_SIZE[1])[None, :]
        mask = ((columns - x) ** 2 / 0.04 + (rows - y) ** 2 / 0.2 < 1)[None] & (position % 5 != 4)
        image = 0.5 * torch.rand(3, *SIZE, generator=generator) + 0.5 * mask[:, ::2, ::2]
        frame: dict[str, Any] = {"image": image, "clip": clip, "index": index}
        if self.masks:
            known = self.annotated(position)
            frame.update(mask=mask & known, annotated=known)
        if self.box is not None:
            frame["box"] = torch.tensor(self.box(position))
        return frame


class ToyModule(pl.LightningModule):
    """Predicts brightness as mask; ``inpainter`` makes it return the inpainter's output instead."""

    def __init__(
        self, inpainter: bool = False, bad_step: int | None = None, bad_rank: int = 0, bad: float = math.nan
    ) -> None:
        """Choose the output; at ``bad_step`` the loss of rank ``bad_rank`` is ``bad``."""
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.inpainter = inpainter
        self.bad_step, self.bad_rank, self.bad = bad_step, bad_rank, bad

    def _step(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        image = batch["image"]
        loss = (self.weight * image.mean()).square().sum()
        if self.inpainter:
            return {"loss": loss, "composite": image, "hole": (image[:, :1] > 0.5).float()}
        mean = image.mean(dim=(1, 2, 3))
        box = torch.stack([mean - 0.3, 0.3 - mean, 0.2 + 0 * mean, 0.6 * mean + 0.2], dim=1)
        probability = image[:, 0, ::3, ::4].flatten(1).softmax(1).view(-1, 8, 8)
        return {
            "loss": loss,
            "mask": image.mean(1, keepdim=True),
            "box": box,
            "confidence": probability.flatten(1).amax(1),
            "probability": probability,
            "composite": image,
            "background": 0.5 * image,
        }

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Train one step."""
        out = self._step(batch)
        if self.global_step == self.bad_step and self.global_rank == self.bad_rank:
            out["loss"] = out["loss"] * self.bad
        return out

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Validate one batch."""
        return self._step(batch)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Test one batch."""
        return self._step(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Use plain gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader(frames: ToyFrames, batch_size: int = 3) -> DataLoader[dict[str, Any]]:
    """Load frames in order."""
    return DataLoader(frames, batch_size=batch_size)


def trainer(folder: Path, callbacks: list[pl.Callback], **options: Any) -> pl.Trainer:  # noqa: ANN401
    """Make a quiet trainer on the CPU."""
    options = {"logger": False, "devices": 1, "max_epochs": 1, "num_sanity_val_steps": 0} | options
    return pl.Trainer(
        accelerator="cpu",
        callbacks=callbacks,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


ODD_CLIPS = {"bear": 6, "a much longer name of a clip": 3, "camel": 4}
"""13 frames: two processes get 7 each, one frame twice."""


def half_annotated(position: int) -> bool:
    """Annotate the even positions only, which a distributed sampler gives to the first of two processes."""
    return position % 2 == 0


def smooth_masks(seed: int, frames: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Make soft masks with a few blobs and related true masks; frames 1 to 3 hold the empty cases."""
    generator = torch.Generator().manual_seed(seed)
    soft = torch.rand(frames, 1, size[0] // 8 + 2, size[1] // 8 + 2, generator=generator)
    soft = torch.nn.functional.interpolate(soft, size, mode="bicubic", align_corners=False).clamp(0, 1)
    truth = (soft + 0.3 * torch.rand(soft.shape, generator=generator)) > 0.7
    soft[1:3] = 0
    truth[2:4] = False
    return soft, truth


def drawn_frame() -> Frame:
    """Make a black frame with a box in its right half, and a detector sure of its upper left cell."""
    probability = torch.zeros(8, 8)
    probability[0, 0] = 1
    black = torch.zeros(3, 64, 128)
    return {
        "clip": "bear",
        "index": 3,
        "image": black,
        "composite": black,
        "mask": torch.ones(1, 64, 128),
        "box": torch.tensor([0.5, 0.0, 0.25, 0.5]),
        "probability": probability,
    }


RECTANGLES_SIZE = (20, 40)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> Tensor:
    """A mask of what lies within these corners."""
    mask = torch.zeros(RECTANGLES_SIZE, dtype=torch.bool)
    mask[y0:y1, x0:x1] = True
    return mask


A, B, C = (2, 2, 8, 18), (12, 2, 18, 18), (30, 2, 36, 18)
TWO = (rectangle(*A).int() + 5 * rectangle(*B).int()).to(torch.uint8)[None]  # (1, H, W), numbers 1 and 5
