"""Training of a student on a teacher's masks, one single frame at a time; an interrupted training goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backdrop.files import whole_file
from backdrop.progress import progress
from datamodules.readers import Pixels, resize
from experiments.baselines.clip_frames import ClipFrames
from experiments.baselines.dilate_unet import DilateUNet
from experiments.baselines.taught import Taught

_EVERY = 100  # steps between two checkpoints


@dataclass(frozen=True)
class Course:
    """How a student is trained.

    Attributes:
        steps: Number of steps.
        batch_size: Frames in a step.
        learning_rate: Of Adam at the first step; it falls to nothing along half a cosine.
        width: See :class:`~experiments.baselines.dilate_unet.DilateUNet`.
    """

    steps: int
    batch_size: int
    learning_rate: float
    width: int


def train(
    course: Course, clips: Sequence[ClipFrames], taught: Sequence[Taught], seed: int, path: Path, words: str
) -> DilateUNet:
    """Train a new student; each clip is as likely as any other, whatever its length.

    What is drawn in a step follows from the seed and the number of the step, so that an interrupted training goes on
    from its last checkpoint as if nothing had been.

    Args:
        course: How.
        clips: The clips.
        taught: Their chosen masks; at least one clip has some.
        seed: The seed.
        path: The checkpoint.
        words: What is being done, for the progress.

    Returns:
        The student, in evaluation mode.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    network = DilateUNet(course.width).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=course.learning_rate)
    first = 0
    if path.is_file():
        kept: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        first = kept["step"]
    usable = [number for number, one in enumerate(taught) if len(one.positions)]
    network.train()
    with progress(course.steps - first, words) as advance:
        for step in range(first, course.steps):
            draw = np.random.default_rng([seed, step])
            images, masks = zip(*(_frame(clips, taught, usable, draw) for _ in range(course.batch_size)), strict=True)
            logits = network(_tensor(np.stack(images), device).permute(0, 3, 1, 2))
            target = _tensor(np.stack(masks), device)[:, None]
            loss = functional.binary_cross_entropy_with_logits(logits, target)
            optimiser.param_groups[0]["lr"] = course.learning_rate * (1 + math.cos(math.pi * step / course.steps)) / 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if (step + 1) % _EVERY == 0 or step + 1 == course.steps:
                state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1}
                with whole_file(path) as part:
                    torch.save(state, part)
            advance()
    return network.eval()


def _frame(
    clips: Sequence[ClipFrames], taught: Sequence[Taught], usable: Sequence[int], draw: np.random.Generator
) -> tuple[Pixels, Pixels]:
    """A frame (h, w, 3) and its mask (h, w), both mirrored or not."""
    number = usable[int(draw.integers(len(usable)))]
    masks = taught[number]
    place = int(draw.integers(len(masks.positions)))
    mask = masks.masks[place]
    image = resize(clips[number][int(masks.positions[place])], (mask.shape[0], mask.shape[1]))
    return (image[:, ::-1], mask[:, ::-1]) if draw.random() < 0.5 else (image, mask)


def _tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """Bytes as numbers in [0, 1]."""
    return torch.from_numpy(pixels).to(device).float().div_(255)
