"""Augmentation of training frames: cheap per-frame changes in the loader, a gentle zoom and shift on the device."""

from __future__ import annotations

import os
import random
from typing import cast

import kornia.augmentation as K
import numpy as np
import torch
from torch import Tensor, nn

from backdrop.contracts import Batch
from datamodules.readers import Pixels

_WHOLLY = 0.99  # a pixel that the augmentation mixes of covered and other ones is not covered


class FrameAugmentation:
    """Mirror, brightness, contrast and hue of one uint8 frame, drawn by a seed.

    albumentations keeps a random state of its own, which every loader worker would inherit; so each call gives it a
    new one. (``set_random_seed`` would not do: it gives every change the same seed, so that only mirrored frames
    change their colours.) It is imported here, so that all else works without it.

    Args:
        flip: Probability of mirroring left and right.
        photometric: Probability of each of the colour changes.
    """

    def __init__(self, flip: float = 0.5, photometric: float = 0.5) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # before the import, which otherwise calls home
        import albumentations as A

        self._transform = A.Compose(
            [
                A.HorizontalFlip(p=flip),
                A.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=0.1, p=photometric),
                A.HueSaturationValue(hue_shift_limit=4, sat_shift_limit=12, val_shift_limit=0, p=photometric),
            ],
            is_check_shapes=False,
        )
        self._targets = {"image": "image"}

    def __call__(self, seed: int | None = None, /, **planes: Pixels) -> dict[str, Pixels]:
        """Change one frame, and its other planes alike.

        Args:
            seed: What is drawn follows from it; None takes one from torch's random state.
            planes: ``image``, RGB, uint8, (h, w, 3), and perhaps others of that size: pictures, (h, w, 3), which
                change their colours as the frame does, and numbers, (h, w), which are mirrored only.

        Returns:
            The changed planes by the same names, same shapes and types.
        """
        new = {name: "image" if plane.ndim == 3 else "mask" for name, plane in planes.items()}
        new = {name: kind for name, kind in new.items() if name not in self._targets}
        if new:
            self._transform.add_targets(new)
            self._targets |= new
        seed = int(torch.randint(2**31, ()).item()) if seed is None else seed
        self._transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
        changed: dict[str, Pixels] = self._transform(**planes)
        return changed


class DeviceAugmentation(nn.Module):
    """Random zoom-in and shift of a batch, on the batch's device; reflection instead of black borders.

    Args:
        max_zoom: Largest enlargement; 1 is none.
        max_shift: Largest shift as a fraction of the frame's width and height.
    """

    def __init__(self, max_zoom: float = 1.15, max_shift: float = 0.05) -> None:
        super().__init__()
        self._affine = K.RandomAffine(
            degrees=0.0,
            translate=(max_shift, max_shift),
            scale=(1.0, max_zoom),
            padding_mode="reflection",
            align_corners=False,
            p=1.0,
        )

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Change a batch of frames.

        Args:
            image: Frames, (B, C, H, W), float in [0, 1]; any number of channels.

        Returns:
            The changed frames, same shape and range.
        """
        with torch.autocast(image.device.type, enabled=False):
            changed: Tensor = self._affine(image.float())
        return changed.clamp(0.0, 1.0)


def on_device(batch: Batch, augmentation: DeviceAugmentation | None) -> Batch:
    """Make numbers of the planes of a batch, which leave the loader as bytes.

    Args:
        batch: The batch; all of its bytes are planes, but for the numbers of the subjects (``objects``).
        augmentation: Changes all planes alike; None leaves them as they are.

    Returns:
        The batch with each plane as float32 in [0, 1], (B, 3, h, w) or (B, 1, h, w), on its device; ``covered`` as
        bool.
    """
    planes = {
        name: value.to(torch.float32, memory_format=torch.contiguous_format).div_(255.0)
        for name, value in batch.items()
        if name != "objects" and isinstance(value, Tensor) and value.dtype == torch.uint8
    }
    if augmentation is not None:
        channels = [plane.shape[1] for plane in planes.values()]
        changed = augmentation(torch.cat(list(planes.values()), dim=1)).split(channels, dim=1)
        planes = dict(zip(planes, changed, strict=True))
    if "covered" in planes:
        planes["covered"] = planes["covered"] > _WHOLLY
    return cast(Batch, {**batch, **planes})
