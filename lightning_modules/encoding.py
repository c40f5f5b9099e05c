"""The encoder of S, trained without labels before stage 2 (Table 3, last row; A.2)."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, get_args

import kornia.augmentation
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import models

from backdrop.contracts import Batch, StepOutput
from backdrop.errors import warn
from backdrop.ranges import at_least, one_of, positive, require
from lightning_modules.building import keep_settings
from lightning_modules.networks.backbone import IMAGENET_MEAN, IMAGENET_STD, require_trunk
from lightning_modules.networks.siamese import Banked, Moco, Npid, Objective, SimSiam
from lightning_modules.schedule import ScheduleName, require_learning, scheduled

Method = Literal["npid", "moco", "simsiam"]


class EncoderModule(pl.LightningModule):
    """Train a ResNet to know a frame again: two views of the same frame are alike, those of others are not.

    A view is a random part of the frame of the batch, mirrored or not, with other colours or grey. The network keeps
    torchvision's names, below ``backbone``, so that stage 2 takes its checkpoint, or the file that the training writes,
    as the weights of ``S``.

    Args:
        backbone: Any ResNet of torchvision, at full width; that of ``segmenter.init_args.backbone`` in stage 2.
        method: ``npid`` (Wu et al. 2018, in the paper), ``moco`` or ``simsiam``; see
            :mod:`lightning_modules.networks.siamese`.
        crop_size: (height, width) of a view in pixels.
        least_part: Smallest share of the frame that a view shows.
        features: Length of the features that are compared.
        temperature: Of ``npid`` and ``moco`` (Wu et al.: 0.07).
        bank: Features in the bank of ``npid`` and ``moco``; fewer than there are frames to train on.
        momentum: Of the slow copy of ``moco``.
        learning_rate: Adam's.
        lr_schedule: ``constant`` or ``cosine``.

    Raises:
        RunError: If lightly is not installed.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        backbone: str = "resnet18",
        method: Method = "npid",
        crop_size: tuple[int, int] = (64, 64),
        least_part: float = 0.2,
        features: int = 128,
        temperature: float = 0.07,
        bank: int = 4096,
        momentum: float = 0.99,
        learning_rate: float = 1e-3,
        lr_schedule: ScheduleName = "cosine",
    ) -> None:
        super().__init__()
        require_trunk(backbone, 1.0, 32, None)
        one_of(get_args(Method), self, method=method)
        at_least(1, self, features=features, bank=bank)
        at_least(32, self, crop_size=crop_size)
        positive(self, temperature=temperature)
        require(self, 0 < least_part <= 1, "least_part", least_part, "a share in (0, 1]")
        require(self, 0 <= momentum < 1, "momentum", momentum, "a share in [0, 1)")
        require_learning(self, lr_schedule, learning_rate=learning_rate)
        self.save_hyperparameters()
        keep_settings(self)
        network: Any = models.get_model(backbone, weights=None)
        width = int(network.fc.in_features)
        network.fc = nn.Identity()
        self.backbone: nn.Module = network
        self.objective = _objective(method, network, width, features, temperature, bank, momentum)
        self.crop_size, self.least_part = (int(crop_size[0]), int(crop_size[1])), least_part
        self.learning_rate, self.lr_schedule = learning_rate, lr_schedule

    @cached_property
    def views(self) -> nn.Module:
        """Makes a view of each frame, (B, 3, H, W) -> (B, 3, h, w)."""
        of = kornia.augmentation
        part = of.RandomResizedCrop(self.crop_size, scale=(self.least_part, 1.0))
        return nn.Sequential(
            part, of.RandomHorizontalFlip(), of.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8), of.RandomGrayscale(p=0.2)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Features of frames; (B, 3, H, W) in [0, 1] -> (B, width)."""
        found: Tensor = self.backbone(_normalised(image))
        return found

    def on_train_start(self) -> None:
        """Say where a bank is larger than the data: then a frame's own former features are among the others'."""
        frames, loader = 0, self.trainer.train_dataloader
        if isinstance(loader, DataLoader):
            frames = len(loader.dataset)  # type: ignore[arg-type]  # ours has a length
        if isinstance(self.objective, Banked) and 0 < frames <= (bank := len(self.objective.bank()["bank"])):
            what = f"The bank of {bank} features is not smaller than the data, {frames} frames"
            warn(f"{what}: a frame is told apart from itself too. Set model.init_args.bank below that number.")

    def training_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """One step on two views of each frame."""
        loss = self._loss(batch["image"])
        self.log("train/loss", loss, batch_size=len(batch["image"]))
        return {"loss": loss}

    def validation_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """The loss of the same views in every epoch, and the features of the whole frames, for the probe."""
        image = batch["image"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(batch_idx)
            loss = self._loss(image)
        self.log("val/loss", loss, batch_size=len(image), sync_dist=True)
        return {"loss": loss, "features": self(image)}

    def _loss(self, image: Tensor) -> Tensor:
        first, second = (_normalised(self.views(image).clamp(0, 1)) for _ in range(2))
        loss: Tensor = self.objective(self.backbone, first, second)
        return loss

    def configure_optimizers(self) -> Any:  # noqa: ANN401  Lightning's union
        """Adam."""
        learnt = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(learnt, lr=self.learning_rate)
        return scheduled(optimizer, self.lr_schedule, self.trainer.estimated_stepping_batches)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the bank, so that a training goes on as if nothing had been."""
        if isinstance(self.objective, Banked):
            checkpoint["bank"] = self.objective.bank()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Fill the bank again."""
        if isinstance(self.objective, Banked):
            for name, value in self.objective.bank().items():
                value.copy_(checkpoint["bank"][name])


def _objective(
    method: Method, backbone: nn.Module, width: int, features: int, temperature: float, bank: int, momentum: float
) -> Objective:
    """What is learnt."""
    if method == "simsiam":
        return SimSiam(width, features)
    if method == "moco":
        return Moco(backbone, width, features, temperature, bank, momentum)
    return Npid(width, features, temperature, bank)


def _normalised(image: Tensor) -> Tensor:
    """As the trunk of ``S`` takes it."""
    mean, std = (image.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (image - mean) / std
