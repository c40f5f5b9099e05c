"""The frames that a score is calibrated on: of the training, held out, and without a subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules import FramesDataModule
from datamodules.dataset import FrameDataset
from datamodules.plates.painted_out import painted_out
from datamodules.readers import Pixels
from lightning_modules import SegmentationModule
from lightning_modules.score import Observed

OWN, PAINTED = 96, 36
"""Most frames of the training that are looked at, and of them that the subject is painted out of."""

KEPT_OUT = 3
"""Of frames of which none is held out otherwise, one in so many is kept out of the fit of the score."""

_PIECE = (0.3, 0.6)  # sides of a piece of the scene over those of the frame
_HALF = 128  # of a plane's 255
_BATCH = 16


@dataclass(frozen=True)
class Place:
    """A frame: its data set, the index of its clip and its position there."""

    dataset: FrameDataset
    clip_index: int
    position: int

    def read(self, position: int | None = None) -> dict[str, Pixels]:
        """All planes of the frame, or of another one of its clip."""
        return self.dataset.read(self.clip_index, self.position if position is None else position)

    @property
    def count(self) -> int:
        """Frames of its clip."""
        return len(self.dataset.clips[self.clip_index])


def places(dataset: FrameDataset, most: int, but: Iterable[tuple[str, int]] = ()) -> list[Place]:
    """Frames of a data set, evenly over all of them.

    Args:
        dataset: The data set.
        most: How many at most.
        but: Clip and frame number of those that do not count.
    """
    left_out, found = set(but), []
    for clip_index, clip in enumerate(dataset.clips):
        used = set(dataset.frame_numbers(clip_index).tolist())
        for position, number in enumerate(clip.frame_numbers.tolist()):
            if number in used and (clip.name, number) not in left_out:
                found.append(Place(dataset, clip_index, position))
    chosen = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    return [found[at] for at in chosen.tolist()]


def unseen(data: FramesDataModule) -> list[Place]:
    """Frames of the validation that are not trained on too."""
    return places(data.dataset("val"), OWN, data.dataset("train").frame_names())


@dataclass(frozen=True)
class Look:
    """What a model makes of some frames.

    Attributes:
        seen: What the score looks at, of N frames.
        overlap: Intersection over union of its masks with the targets, (N,); 1 where the data have no targets.
        trust: How far to trust these, (N,).
    """

    seen: Observed
    overlap: Tensor
    trust: Tensor

    @property
    def frames(self) -> int:
        """How many frames, N."""
        return len(self.overlap)

    def rows(self, chosen: Tensor) -> Look:
        """Some of the frames."""
        return Look(self.seen.rows(chosen), self.overlap[chosen], self.trust[chosen])


class Looker:
    """Shows frames to a model, and paints its subject out of them.

    Args:
        model: The model, in eval mode.
        tick: Called for every frame that it was shown.
    """

    def __init__(self, model: SegmentationModule, tick: Callable[[], None]) -> None:
        self.model, self.tick = model, tick

    @torch.inference_mode()
    def _seen(self, images: Sequence[Pixels]) -> tuple[Observed, Tensor]:
        """What the score looks at in some frames, and the masks, (N, 1, h, w)."""
        batch = torch.from_numpy(np.stack(images)).to(self.model.device).permute(0, 3, 1, 2).float() / 255
        seen, mask = self.model.observe(batch)
        for _ in images:
            self.tick()
        return Observed(*(value.cpu() for value in seen)), mask.float().cpu()

    def own(self, frames: Sequence[Place]) -> Look:
        """Show it frames of its data, at least one."""
        seen: list[Observed] = []
        overlaps, trusts = [], []
        for start in range(0, len(frames), _BATCH):
            planes = [place.read() for place in frames[start : start + _BATCH]]
            found, masks = self._seen([one["image"] for one in planes])
            seen.append(found)
            for one, mask in zip(planes, masks, strict=True):
                target = torch.from_numpy(one["target"]).float() / 255 if "target" in one else mask[0]
                both, either = torch.minimum(mask[0], target).sum(), torch.maximum(mask[0], target).sum()
                overlaps.append(float((both + 1) / (either + 1)))  # one pixel: nothing and nothing agree
                trusts.append(float(one["trust"].mean()) / 255 if "trust" in one else 1.0)
        return Look(Observed.joined(seen), torch.tensor(overlaps), torch.tensor(trusts))

    def empty(self, frames: Sequence[Place]) -> tuple[Observed, Observed] | None:
        """Show it frames without the subject, and pieces of these, enlarged, which are other scenes.

        Args:
            frames: Of its data; the subject is painted out.

        Returns:
            What it makes of both, frame by frame; None where the subject could be painted out of no frame.
        """
        painted: list[Observed] = []
        pieces: list[Observed] = []
        for images in _grouped(self._without(frames), _BATCH):
            painted.append(self._seen(images)[0])
            enlarged = [piece(image, len(pieces) * _BATCH + at) for at, image in enumerate(images)]
            pieces.append(self._seen(enlarged)[0])
        return (Observed.joined(painted), Observed.joined(pieces)) if painted else None

    def _without(self, frames: Sequence[Place]) -> Iterator[Pixels]:
        """The frames with the subject painted out, as far as that can be done."""
        for place in frames:

            def shown(position: int, place: Place = place) -> tuple[Pixels, NDArray[np.bool_]]:
                planes = place.read(position)
                return planes["image"], self._subject(planes, position == place.position)

            if (image := painted_out(place.position, place.count, shown)) is not None:
                yield image

    @torch.inference_mode()
    def _subject(self, planes: dict[str, Pixels], itself: bool) -> NDArray[np.bool_]:
        """Where the subject is: by the data, or the model's mask; of the frame ``itself`` by both."""
        told = planes.get("target", planes.get("evidence"))
        if told is not None and not itself:
            return told >= _HALF
        image = torch.from_numpy(planes["image"]).to(self.model.device).permute(2, 0, 1)[None].float() / 255
        mask: NDArray[np.bool_] = (self.model(image)["mask"][0, 0] >= 0.5).cpu().numpy()
        return mask if told is None else np.logical_or(mask, told >= _HALF)


def piece(image: Pixels, seed: int) -> Pixels:
    """A piece of an image, enlarged to its size.

    Args:
        image: RGB, uint8, (h, w, 3).
        seed: Which piece.
    """
    random = np.random.default_rng(seed)
    height, width = image.shape[:2]
    side = random.uniform(*_PIECE)
    rows, columns = max(1, round(side * height)), max(1, round(side * width))
    top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
    cut = image[top : top + rows, left : left + columns]
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _grouped(images: Iterator[Pixels], size: int) -> Iterator[list[Pixels]]:
    """Images in lists of so many, of which the last may be shorter."""
    group: list[Pixels] = []
    for image in images:
        group.append(image)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
