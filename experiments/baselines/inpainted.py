"""Inpainters as backgrounds: where a frame differs from what is painted into a hole of it (Sec. 3.2; Fig. 7)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from backdrop.boxes import to_corners
from backdrop.errors import RunError
from datamodules.readers import Pixels, resize
from experiments.baselines.method import BLUR, Baseline, Frames, Prediction, Soft, from_mask, require, smoothed
from experiments.baselines.videopca import VideoPca
from lightning_modules.handover import HandoverError, frozen_inpainter

Boxes = Literal["videopca", "centre"]
_NOISE = 20.0  # distance of colours, grey levels: less is noise or compression
_MIDDLE = 0.25  # half-extent of the hidden middle of Fig. 7, of a frame that reaches from -1 to 1


class Inpainted(Baseline):
    """A box is hidden, an inpainter fills it, and what differs from the frame in it is the subject.

    All inpainters get the same boxes, see the same pixels and are asked the same, so that only what they paint differs.
    The evidence is the distance of colours, root mean square over a small neighbourhood. The soft mask is 0.5 at the
    level that parts the evidence in the hole best into two classes (Otsu 1979), or at 20 grey levels where that is
    more. Outside the hole it is zero. No label has a say: the boxes are those of VideoPCA's masks, or the middle of the
    frame, as in Fig. 7. Where VideoPCA finds nothing, it is the middle too.

    Args:
        boxes: ``videopca`` or ``centre``, which is half as high and as wide as the frame (in Fig. 7 by eye).
        growth: The hole is VideoPCA's box times this (paper: 1.1 in the text, 1.2 in the appendix).
        height: Height in pixels at which it is painted: that at which a trained inpainter has learnt.
    """

    def __init__(self, boxes: Boxes, growth: float, height: int) -> None:
        require(1, growth=growth)
        require(32, height=height)
        self.boxes = boxes
        self.growth = growth
        self.height = height

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`; with the painted frame as ``background``."""
        found = VideoPca().predict(frames, wanted) if self.boxes == "videopca" else None
        for position in wanted:
            frame = frames[position]
            box = next(found).box if found is not None else (0.0, 0.0, 0.0, 0.0)
            full = (frame.shape[0], frame.shape[1])
            height = min(self.height, full[0])
            small = resize(frame, (height, max(1, round(full[1] * height / full[0]))))
            hole = self._hole(box, (small.shape[0], small.shape[1]))
            painted = self._fill(small, hole)
            mask = cv2.resize(unlike(small, painted, hole), full[::-1], interpolation=cv2.INTER_LINEAR)
            shown = cv2.resize(painted, full[::-1], interpolation=cv2.INTER_LINEAR)
            yield replace(from_mask(mask), background=shown)

    def _hole(self, box: tuple[float, float, float, float], size: tuple[int, int]) -> NDArray[np.bool_]:
        """Pixels whose centre is in the grown box, or in the middle where there is none, (h, w)."""
        cx, cy, sx, sy = box
        sides = (sx * self.growth, sy * self.growth) if sx > 0 and sy > 0 else (2 * _MIDDLE, 2 * _MIDDLE)
        left, top, right, bottom = to_corners(torch.tensor([[cx, cy, *sides]]), size)[0].tolist()
        y, x = (np.arange(side) + 0.5 for side in size)
        return np.asarray(((y >= top) & (y <= bottom))[:, None] & ((x >= left) & (x <= right))[None, :])

    @abstractmethod
    def _fill(self, frame: Pixels, hole: NDArray[np.bool_]) -> Pixels:
        """The frame with its hole painted.

        Args:
            frame: RGB, uint8, (h, w, 3).
            hole: True where hidden, (h, w).
        """


def unlike(frame: Pixels, painted: Pixels, hole: NDArray[np.bool_]) -> Soft:
    """Where a frame differs from what was painted into its hole, see :class:`Inpainted`.

    Args:
        frame: (h, w, 3).
        painted: The same with the hole painted.
        hole: (h, w).

    Returns:
        Soft mask, (h, w).
    """
    squares = np.square(frame.astype(np.float32) - painted).sum(axis=2)
    evidence = np.sqrt(smoothed(squares, BLUR)) * hole
    inside = np.minimum(evidence[hole], 255).astype(np.uint8)
    between = cv2.threshold(inside, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0] if inside.size else 0.0
    return np.asarray(evidence / (evidence + max(between, _NOISE)), dtype=np.float32)


class Telea(Inpainted):
    """OpenCV's inpainting by fast marching (Telea 2004), which knows no scene at all.

    Args:
        boxes: See :class:`Inpainted`, as for the next two.
        growth: Of the box.
        height: Of the frame.
        radius: How far around a pixel is looked, in pixels.
    """

    method = cv2.INPAINT_TELEA

    def __init__(self, boxes: Boxes = "videopca", growth: float = 1.2, height: int = 96, radius: float = 3.0) -> None:
        super().__init__(boxes, growth, height)
        require(1, radius=radius)
        self.radius = radius

    def _fill(self, frame: Pixels, hole: NDArray[np.bool_]) -> Pixels:
        """See :meth:`Inpainted._fill`."""
        return np.asarray(cv2.inpaint(frame, hole.astype(np.uint8), self.radius, self.method), dtype=np.uint8)


class NavierStokes(Telea):
    """OpenCV's inpainting by the Navier-Stokes equations (Bertalmio et al. 2001).

    Args:
        boxes: See :class:`Inpainted`, as for the next two.
        growth: Of the box.
        height: Of the frame.
        radius: How far around a pixel is looked, in pixels.
    """

    method = cv2.INPAINT_NS


class SceneInpainter(Inpainted):
    """The inpainter of a stage 1, trained on the scene, as the paper has it.

    Args:
        checkpoint: Its checkpoint, ``RUN/inpaint/checkpoints/last.ckpt``.
        boxes: See :class:`Inpainted`, as for the next two.
        growth: Of the box.
        height: Of the frame: that at which it was trained, a quarter of the evaluation size with the small profile.

    Raises:
        RunError: If no checkpoint is given, or it cannot be read.
    """

    def __init__(
        self, checkpoint: str | None = None, boxes: Boxes = "videopca", growth: float = 1.2, height: int = 96
    ) -> None:
        super().__init__(boxes, growth, height)
        if checkpoint is None:
            raise RunError("it needs a trained inpainter: give checkpoint, such as RUN/inpaint/checkpoints/last.ckpt.")
        try:
            self.network: nn.Module = frozen_inpainter(checkpoint, None)
        except HandoverError as error:
            raise RunError(str(error)) from error

    @torch.inference_mode()
    def _fill(self, frame: Pixels, hole: NDArray[np.bool_]) -> Pixels:
        """See :meth:`Inpainted._fill`."""
        device = next(self.network.parameters()).device
        image = torch.from_numpy(frame).to(device).permute(2, 0, 1)[None].float() / 255
        painted = self.network(image, torch.from_numpy(hole).to(device)[None, None].float())[0]
        return np.asarray(painted.mul(255).round().byte().permute(1, 2, 0).cpu().numpy())


class GenericInpainter(SceneInpainter):
    """The same of a stage 1 that was trained on other footage: what the paper says of generic inpainters (Fig. 7).

    Args:
        checkpoint: See :class:`SceneInpainter`, as for all.
        boxes: Where the holes are.
        growth: Of the box.
        height: Of the frame.
    """
