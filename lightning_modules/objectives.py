"""The objectives O and G, the priors, and who learns from which (Sec. 3.2; Eqs. 2, 6, 7).

========================  =============  =============
variable                  learns from O  learns from G
========================  =============  =============
``p``, cell probability   no             yes
``b``, box                yes            no
``S``, foreground, mask   yes            no
``I``, inpainter          frozen         frozen
========================  =============  =============

``reaches_p`` of O and ``reaches_boxes`` of G open the two closed cells (Fig. 3b): G then reaches ``b`` by the area that
it divides by and by the error that the edges of the box sweep over. ``B`` itself stays a constant, as it always does.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from backdrop.contracts import StepOutput
from backdrop.ranges import at_least, one_of, positive, within
from lightning_modules.estimators import Estimator, Samples
from lightning_modules.geometry import box_area
from lightning_modules.losses import (
    MaskPriorKind,
    ReconstructionLoss,
    box_fit,
    box_prior,
    confidence_prior,
    mask_prior,
    reach_prior,
)
from lightning_modules.networks import Proposals
from lightning_modules.scene import View
from lightning_modules.subjects import described

Over = Literal["window", "frame"]


@dataclass(frozen=True)
class Segmented:
    """What ``S`` makes of the drawn boxes.

    Attributes:
        mask: In the frame, (B * K, 1, H, W).
        window_mask: In the window, (B * K, 1, h, w).
        composite: ``F`` of Eq. (1), (B * K, 3, H, W); None where the scene does not compare it.
    """

    mask: Tensor
    window_mask: Tensor
    composite: Tensor | None


@dataclass(frozen=True)
class Draw:
    """What a training step draws for O: K cells of each of B frames, and what is seen in their boxes.

    Attributes:
        view: The frames.
        proposals: What ``D`` says of them.
        samples: The drawn cells.
        box: Their boxes, (B, K, 4).
        flat: The same, (B * K, 4).
        repeated: The frames, each K times in turn.
        background: ``B`` for each box, (B * K, 3, H, W).
        segmented: What ``S`` makes of them; None where ``S`` is not trained.
        reconstruction: ``L``.
        sizes: Smallest and largest box, fractions of the frame.
        progress: Gives the share of the training that is done.
    """

    view: View
    proposals: Proposals
    samples: Samples
    box: Tensor
    flat: Tensor
    repeated: View
    background: Tensor
    segmented: Segmented | None
    reconstruction: ReconstructionLoss
    sizes: tuple[float, float]
    progress: Callable[[], float]

    @property
    def probability(self) -> Tensor:
        """``p`` of the drawn cells, (B, K)."""
        return self.proposals.probability.gather(1, self.samples.cell)

    def density(self) -> Tensor:
        """The error of the background per area of the box, mean over the draws of a frame, a constant, (B,)."""
        error = self.repeated.scene.error(self.repeated, self.flat, self.background)
        return (error / box_area(self.flat).detach()).view(self.box.shape[:2]).mean(dim=1)

    def output(self) -> StepOutput:
        """What the training step returns: the first draw of each frame."""
        draws = self.box.shape[1]
        output = described(self.proposals, self.box[:, 0], self.probability[:, 0])
        output["background"] = self.background.detach()[::draws]
        if self.segmented is not None:
            output["mask"] = self.segmented.mask.detach()[::draws]
            if self.segmented.composite is not None:
                output["composite"] = self.segmented.composite.detach()[::draws]
        return output


@dataclass(frozen=True)
class Foreground:
    """O: reconstruct the frame, Eq. (2) with the predicted background.

    Args:
        reaches_p: Also let ``p`` learn from it (Fig. 3b).
    """

    reaches_p: bool = False

    def __call__(self, draw: Draw) -> Tensor | None:
        """The objective, a scalar; None where ``S`` is not trained."""
        if (seen := draw.segmented) is None:
            return None
        scene, view = draw.repeated.scene, draw.repeated
        loss = scene.loss(view, draw.flat, seen.composite, seen.mask, draw.reconstruction)
        return self.expected(draw.samples, loss.view(draw.box.shape[:2])).mean()

    def expected(self, samples: Samples, loss: Tensor) -> Tensor:
        """``O(I) = E_c[L(F(I, b_c, B), I)]``, Eq. (2).

        Args:
            samples: The drawn cells.
            loss: ``L`` of each, (B, K).

        Returns:
            (B,).
        """
        return samples.expectation(loss, differentiable=self.reaches_p)


@dataclass(frozen=True)
class Background:
    """G: look where the background is predicted badly, Eq. (6).

    Args:
        estimator: Draws the cells of G; None reuses the draws of O, as the paper does.
        reaches_boxes: Also let ``b`` learn from it (Fig. 3b to d).
    """

    estimator: Estimator | None = None
    reaches_boxes: bool = False

    def __call__(self, draw: Draw) -> Tensor:
        """The objective, a scalar."""
        if self.estimator is None:
            samples, area = draw.samples, box_area(draw.box)
            error = self._error(draw.repeated, draw.flat, draw.background).view(area.shape)
        else:
            samples = self.estimator.draw(draw.proposals.probability, draw.proposals.live)
            box = draw.proposals.at(samples.cell)
            error = torch.stack([self._error(draw.view, one, None) for one in box.unbind(1)], dim=1)
            area = box_area(box)
        return self.expected(samples, error, area).mean()

    def expected(self, samples: Samples, error: Tensor, area: Tensor) -> Tensor:
        """``G(I) = -E_c[L(B, I) / a(b_c)]``, Eq. (6).

        Args:
            samples: The drawn cells.
            error: Error of the background of each, mean over the frame, (B, K).
            area: ``a(b_c)``, a fraction of the frame, (B, K).

        Returns:
            (B,).
        """
        density = error / area
        return -samples.expectation(density if self.reaches_boxes else density.detach())

    def density(self, view: View, box: Tensor, background: Tensor | None = None) -> Tensor:
        """What G takes the mean of: the error of the background per area of the box.

        Args:
            view: The frames.
            box: (B, 4).
            background: ``B`` for the boxes, (B, 3, H, W); predicted if not given.

        Returns:
            (B,).
        """
        return view.scene.error(view, box, background) / box_area(box)

    def _error(self, view: View, box: Tensor, background: Tensor | None) -> Tensor:
        if self.reaches_boxes:
            return view.scene.swept_error(view, box)
        return view.scene.error(view, box, background)


@dataclass(frozen=True)
class Prior(metaclass=ABCMeta):
    """A further term of the training loss. A new prior is a subclass, and an entry of the config.

    Args:
        weight: What the term is multiplied by.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the range."""
        at_least(0, self, weight=self.weight)

    @abstractmethod
    def __call__(self, draw: Draw) -> Tensor | None:
        """The weighted term, a scalar; None where there is nothing to say."""


@dataclass(frozen=True)
class MaskPrior(Prior):
    """Prior on the mean mask value ``m``, Eq. (7) and Table 3; see :func:`~lightning_modules.losses.mask_prior`.

    Args:
        weight: Its weight.
        kind: ``none``, ``l1``, ``l2`` or ``v``.
        level: lambda of ``v``.
        over: Mean over the ``window`` (paper) or over the ``frame``; the latter costs a mask pixel the same in a large
            and in a small box, as the reconstruction loss pays it.
    """

    weight: float = 0.1
    kind: MaskPriorKind = "v"
    level: float = 0.005
    over: Over = "window"

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        one_of(get_args(MaskPriorKind), self, kind=self.kind)
        one_of(get_args(Over), self, over=self.over)
        within(0, 1, self, level=self.level)

    def __call__(self, draw: Draw) -> Tensor | None:
        """The term; None where ``S`` is not trained."""
        if draw.segmented is None:
            return None
        mean = draw.segmented.window_mask.mean(dim=(1, 2, 3))
        if self.over == "frame":
            mean = mean * box_area(draw.flat).detach()
        return self.weight * mask_prior(mean, self.kind, self.level).mean()


@dataclass(frozen=True)
class BoxPrior(Prior):
    """Prior on the batch-mean box; see :func:`~lightning_modules.losses.box_prior`.

    Args:
        weight: Its weight.
        size: Its target, a fraction of the frame's width and height.
    """

    size: float = 0.4

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        within(0, 1, self, size=self.size)

    def __call__(self, draw: Draw) -> Tensor:
        """The term."""
        return self.weight * box_prior(draw.flat, self.size)


@dataclass(frozen=True)
class ConfidencePrior(Prior):
    """Prior on ``p`` of the drawn cells, against early collapse.

    Args:
        weight: Its weight.
    """

    weight: float = 0.1

    def __call__(self, draw: Draw) -> Tensor:
        """The term."""
        return self.weight * confidence_prior(draw.probability)


@dataclass(frozen=True)
class ReachPrior(Prior):
    """Prior on ``p``: a cell pays for how far its box lies from it (beyond the paper).

    Where boxes reach far, cells all over the grid propose the same box, and G cannot tell them apart. With this prior
    the nearest cell is the likeliest, so that ``p`` peaks on the subject. A cell pays in what G sees in the same frame,
    the error of the background per area of the drawn boxes: the weight fits any scene, and a frame that tells G little
    tells this prior as little.

    Args:
        weight: What a box whose centre is one cell away costs, as a share of that error per area.
    """

    weight: float = 0.3

    def __call__(self, draw: Draw) -> Tensor:
        """The term."""
        distance = reach_prior(draw.proposals.probability, draw.proposals.offset())
        return self.weight * (draw.density() * distance).mean()


@dataclass(frozen=True)
class BoxFit(Prior):
    """Pull of each box toward the extent of what is seen in it, which the scene tells (beyond the paper).

    Args:
        weight: Its weight.
        margin: The extent is grown by this first.
        trim: Share of the mask, or of the evidence, that may lie beyond each side of the extent.
        warmup: Share of the training in which the pull is toward ``warmup_size`` instead, so that masks are learnt in
            windows that hold the whole subject before boxes shrink onto them.
        warmup_size: Width and height of a box in that time, a fraction of the frame.
    """

    margin: float = 1.15
    trim: float = 0.01
    warmup: float = 0.0
    warmup_size: float = 0.4

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        positive(self, margin=self.margin, warmup_size=self.warmup_size)
        within(0, 0.5, self, trim=self.trim)
        within(0, 1, self, warmup=self.warmup)

    def __call__(self, draw: Draw) -> Tensor | None:
        """The term; None where ``S`` is not trained."""
        if draw.segmented is None:
            return None
        box, view = draw.flat, draw.repeated
        if self.warmup > 0 and draw.progress() < self.warmup:
            size = box.new_tensor(self.warmup_size).expand(len(box), 2)
            target, found = torch.cat([box[:, :2], size], dim=1), box.new_ones(len(box), dtype=torch.bool)
        else:
            window_mask = draw.segmented.window_mask
            target, found = view.scene.target(view, box, window_mask, self.margin, self.trim, draw.sizes)
        return self.weight * box_fit(box, target, found)
