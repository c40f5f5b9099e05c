"""The scene behind the subject: what predicts it, and what is an error against it (Sec. 3.2; Eqs. 1, 2, 6).

The paper's scene is inpainted. Beyond the paper, the data module can bring what other frames of the clip show of it.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional

from backdrop.contracts import Batch
from backdrop.ranges import at_least, require
from lightning_modules.geometry import box_coverage, box_mask, grow
from lightning_modules.losses import (
    ReconstructionLoss,
    evidence_target,
    mask_target,
    pixel_distance,
    squared_error,
)
from lightning_modules.networks import Inpainter, SegmenterSettings


@dataclass(frozen=True)
class View:
    """Some frames, the scene behind their subject, and what tells of it.

    Attributes:
        scene: What predicts the scene in these frames.
        batch: The frames, and what the scene needs of their data.
        inpainter: ``I``; None where the scene does not ask it and there is none.
    """

    scene: Scene
    batch: Batch
    inpainter: Inpainter | None

    @property
    def image(self) -> Tensor:
        """The frames, (B, 3, H, W) in [0, 1]."""
        return self.batch["image"]

    def repeated(self, times: int) -> View:
        """Each frame so many times in turn, (B * times, ...)."""
        named = {name: cast(Tensor, self.batch[name]) for name in ("image", *self.scene.needs)}  # type: ignore[literal-required]
        return replace(self, batch=cast(Batch, {k: value.repeat_interleave(times, 0) for k, value in named.items()}))

    def painted(self, hole: Tensor) -> Tensor:
        """The frames with what ``I`` paints into the hole.

        Args:
            hole: (B, 1, H, W).

        Returns:
            (B, 3, H, W).
        """
        assert self.inpainter is not None, "a scene that asks the inpainter has one"
        painted: Tensor = self.inpainter(self.image, hole)
        return painted


@dataclass(frozen=True)
class Scene(metaclass=ABCMeta):
    """What is behind the subject. A new background is a subclass; :meth:`fill` is all that it must have.

    Args:
        growth: The hole in which the scene is predicted is the box times this (paper: 1.1 in the text, 1.2 in the
            appendix).
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """Entries of the batch that it cannot do without in training."""
    needs_window: ClassVar[bool] = False
    """Whether the foreground must be the window itself."""
    asks_inpainter: ClassVar[bool] = True
    """Whether an objective depends on what the inpainter paints."""
    compares: ClassVar[bool] = True
    """Whether O compares the composite with the frame; else a training composes none."""

    growth: float = 1.2

    def __post_init__(self) -> None:
        """Check the range."""
        at_least(1, self, growth=self.growth)

    def require_segmenter(self, segmenter: SegmenterSettings) -> None:
        """Refuse a segmenter that does not go with the scene.

        Args:
            segmenter: ``S``.

        Raises:
            ValueError: If the foreground must be the window itself, and is not.
        """
        if self.needs_window and not segmenter.shows_window:
            raise ValueError(
                f"the scene {type(self).__name__} does not go with the segmenter {type(segmenter).__name__}: it needs "
                "one whose foreground is the window itself, such as WindowSegmenter."
            )

    def view(self, batch: Batch, inpainter: Inpainter | None, training: bool) -> View | None:
        """These frames as the scene sees them; outside training the inpainter stands in for what the data lack.

        Args:
            batch: The frames.
            inpainter: ``I``; None where there is none.
            training: Whether they are trained on.

        Returns:
            The view; outside training, None where the data lack what the scene needs and there is no inpainter.

        Raises:
            ValueError: If they are, and the data lack what the scene needs.
        """
        if all(name in batch for name in self.needs):
            return View(self, self.prepared(batch), inpainter)
        if not training:
            return View(Inpainting(self.growth), batch, inpainter) if inpainter is not None else None
        raise ValueError(
            f"the scene {type(self).__name__} needs {', '.join(self.needs)} of the data, which do not bring them: set "
            "data.init_args.plates to static or temporal, or data.init_args.targets to true."
        )

    def prepared(self, batch: Batch) -> Batch:
        """The batch as the scene takes it; what it needs is there."""
        return batch

    @abstractmethod
    def fill(self, view: View, hole: Tensor) -> Tensor:
        """``B`` of Eq. (1): the frames with the scene in the hole.

        Args:
            view: The frames.
            hole: (B, 1, H, W), 1 where the scene is to be predicted.

        Returns:
            (B, 3, H, W).
        """

    def hole(self, view: View, box: Tensor) -> Tensor:
        """The grown box, (B, 1, H, W) in [0, 1], a constant."""
        return box_mask(grow(box, self.growth), frame_size(view))

    @torch.no_grad()
    def background(self, view: View, box: Tensor) -> Tensor:
        """``B`` for the boxes, (B, 3, H, W); a constant for both objectives."""
        return self.fill(view, self.hole(view, box))

    def loss(
        self, view: View, box: Tensor, composite: Tensor | None, mask: Tensor, reconstruction: ReconstructionLoss
    ) -> Tensor:
        """``L`` of Eq. (2): how far the composite is from the frame.

        Args:
            view: The frames.
            box: (B, 4).
            composite: ``F``, (B, 3, H, W); None where the scene does not compare it.
            mask: (B, 1, H, W).
            reconstruction: ``L``.

        Returns:
            (B,).
        """
        assert composite is not None, "a scene that compares it is given it"
        loss: Tensor = reconstruction(composite, view.image)
        return loss

    @torch.no_grad()
    def error(self, view: View, box: Tensor, background: Tensor | None = None) -> Tensor:
        """``L`` of Eq. (6): the pixel error of the background, mean over the frame.

        Args:
            view: The frames.
            box: (B, 4).
            background: ``B`` for the boxes; predicted if not given.

        Returns:
            (B,), a constant.
        """
        return pixel_distance(self.background(view, box) if background is None else background, view.image)

    def swept_error(self, view: View, box: Tensor) -> Tensor:
        """The same with a gradient in the box, by the error that its edges sweep over (Fig. 3b to d).

        Every pixel that the grown box covers in part is predicted, so that the error on both sides of an edge is known.
        """
        share = self._coverage(view, box)
        with torch.no_grad():
            background = self.fill(view, (share > 0).to(view.image.dtype))
        return (share * squared_error(background, view.image)).mean(dim=(1, 2, 3))

    def target(
        self, view: View, box: Tensor, window_mask: Tensor, margin: float, trim: float, sizes: tuple[float, float]
    ) -> tuple[Tensor, Tensor]:
        """Where a box should be: around the mask in it.

        Args:
            view: The frames.
            box: (B, 4).
            window_mask: The mask in each box, (B, 1, h, w).
            margin: See :func:`~lightning_modules.losses.mask_target`, as for the others.
            trim: Share that may lie beyond each side.
            sizes: Smallest and largest box.

        Returns:
            As :func:`~lightning_modules.losses.mask_target`.
        """
        return mask_target(box, window_mask, margin, trim, sizes)

    def _coverage(self, view: View, box: Tensor) -> Tensor:
        """The share of each pixel in the grown box, (B, 1, H, W), with a gradient in the box."""
        return box_coverage(grow(box, self.growth), frame_size(view))


@dataclass(frozen=True)
class Inpainting(Scene):
    """The paper's: ``I`` inpaints the hole from its surroundings."""

    def fill(self, view: View, hole: Tensor) -> Tensor:
        """See :meth:`Scene.fill`."""
        return view.painted(hole)


@dataclass(frozen=True)
class Plates(Scene):
    """The clip's background plates, and ``I`` where they show nothing (beyond the paper)."""

    needs: ClassVar[tuple[str, ...]] = ("plate", "covered")

    def prepared(self, batch: Batch) -> Batch:
        """See :meth:`Scene.prepared`; plates that are registered a pixel wrong are forgiven."""
        return {**batch, "plate": nearest_plate(batch["plate"], batch["image"])}

    def fill(self, view: View, hole: Tensor) -> Tensor:
        """See :meth:`Scene.fill`."""
        return torch.lerp(view.painted(hole), view.batch["plate"], view.batch["covered"] * hole)


@dataclass(frozen=True)
class Evidence(Scene):
    """Plates, and the data's evidence in place of the error against them, in both objectives (beyond the paper).

    The perceptual term of ``L`` is left out, and the inpainter is not asked: no objective depends on it.

    Args:
        growth: As of :class:`Scene`.
        reach: Boxes are fitted to the evidence in the box grown by this, instead of the mask; 0 leaves it to the mask.
    """

    needs: ClassVar[tuple[str, ...]] = ("plate", "covered", "evidence")
    needs_window: ClassVar[bool] = True
    asks_inpainter: ClassVar[bool] = False
    compares: ClassVar[bool] = False

    reach: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(self, self.reach == 0 or self.reach >= 1, "reach", self.reach, "0, or at least 1")

    def fill(self, view: View, hole: Tensor) -> Tensor:
        """See :meth:`Scene.fill`."""
        return torch.lerp(view.image, view.batch["plate"], view.batch["covered"] * hole)

    def loss(
        self, view: View, box: Tensor, composite: Tensor | None, mask: Tensor, reconstruction: ReconstructionLoss
    ) -> Tensor:
        """See :meth:`Scene.loss`: what the mask leaves unexplained of the evidence.

        With the window as foreground the composite's squared error is ``(1 - mask)^2`` times that of the background,
        which the evidence takes the place of.
        """
        left = (1 - mask.float()).square() * self.hole(view, box) * view.batch["evidence"]
        return reconstruction.pixel_weight * left.mean(dim=(1, 2, 3))

    @torch.no_grad()
    def error(self, view: View, box: Tensor, background: Tensor | None = None) -> Tensor:
        """See :meth:`Scene.error`: the evidence in the hole."""
        return (self.hole(view, box) * view.batch["evidence"]).mean(dim=(1, 2, 3))

    def swept_error(self, view: View, box: Tensor) -> Tensor:
        """See :meth:`Scene.swept_error`."""
        return (self._coverage(view, box) * view.batch["evidence"]).mean(dim=(1, 2, 3))

    def target(
        self, view: View, box: Tensor, window_mask: Tensor, margin: float, trim: float, sizes: tuple[float, float]
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`Scene.target`: around the evidence in the box and beside it."""
        if self.reach == 0:
            return super().target(view, box, window_mask, margin, trim, sizes)
        return evidence_target(box, view.batch["evidence"], self.reach, margin, trim, sizes)


def nearest_plate(plate: Tensor, image: Tensor, radius: int = 1) -> Tensor:
    """Forgive a plate that is registered a little wrong: of its pixels nearby take the one that is nearest in colour.

    An edge of a fence that is off by a pixel is then no error, and a subject of another colour still is.

    Args:
        plate: (B, 3, H, W).
        image: (B, 3, H, W).
        radius: How far to look, in pixels; 0 returns the plate.

    Returns:
        (B, 3, H, W).
    """
    height, width = plate.shape[-2:]
    padded = functional.pad(plate, [radius] * 4, mode="replicate")
    best, least = plate, (plate - image).square().sum(dim=1, keepdim=True)
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            shifted = padded[..., dy : dy + height, dx : dx + width]
            error = (shifted - image).square().sum(dim=1, keepdim=True)
            best, least = torch.where(error < least, shifted, best), torch.minimum(error, least)
    return best


def frame_size(view: View) -> tuple[int, int]:
    """(height, width) of the frames in pixels."""
    return view.image.shape[-2], view.image.shape[-1]
