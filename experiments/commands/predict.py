"""``predict``: what a model finds in footage without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def predict(
    run: Path,
    input: list[Path],
    output: Path | None = None,
    save: str = "overlay,mask",
    threshold: float | None = None,
    checkpoint: Literal["last", "best"] | None = None,
    subjects: int = 1,
    refine: bool = False,
    smooth: int = 1,
    track: bool = False,
) -> int | None:
    """Write overlays, masks, cut-outs and a table of images and videos.

    Args:
        run: Run folder, such as runs/demo, a checkpoint file in one, or an exported model, such as cat.onnx.
        input: Images, videos, and folders of them.
        output: Folder for the results (RUN/predictions/NAME OF INPUT); of several inputs, for a folder of each.
        save: What to write beside the table, with commas: overlay, mask, soft (masks as grey values), cutout (PNG with
            alpha), cutout-video (ProRes 4444 with alpha), plate (the scene without the subject).
        threshold: Mask values from here on count as subject (that of an exported model, else 0.5).
        checkpoint: Of a run folder: the last one, as usual, or the best: that of the smallest val/loss.
        subjects: Most subjects to find in a frame; the paper's is 1.
        refine: Cut the border of each mask again at the frame's own size; not with soft.
        smooth: Take the median of the masks of so many frames, an odd number, where the camera stands still.
        track: Write a number that stays with a subject from frame to frame.
    """
    from experiments.prediction.commanded import predict_all

    return predict_all(run, input, output, save, threshold, checkpoint, subjects, refine, smooth, track)
