"""``predict``: overlays, masks and boxes of footage without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def predict(
    run: Path,
    input: Path,
    output: Path | None = None,
    threshold: float = 0.5,
    checkpoint: Literal["last", "best"] = "last",
    subjects: int = 1,
    soft: bool = False,
    refine: bool = False,
) -> None:
    """Write overlays, masks and boxes of an image, a folder of images or a video.

    Args:
        run: Run folder, such as runs/demo.
        input: An image, a folder of images or a video.
        output: Folder for the overlays, masks and boxes (RUN/predictions/NAME OF INPUT).
        threshold: Mask values from here on count as subject.
        checkpoint: The last one, or the best: that of the smallest val/loss.
        subjects: Most subjects to find in a frame; the paper's is 1.
        soft: Masks as grey values instead of 0 and 255.
        refine: Cut the border of each mask again at the frame's own size; not with soft.
    """
    from experiments.prediction.apply import PARTS, apply

    folder = output or run / "predictions" / input.resolve().name
    count = apply(run, input, folder, threshold, checkpoint, soft, subjects, refine)
    print(f"{count} frame{'' if count == 1 else 's'}")
    print(f"overlays: {next(folder / name for name in PARTS[:2] if (folder / name).exists())}")
    print(f"masks: {folder / 'masks'}")
    if subjects > 1:
        print(f"masks of each subject: {folder / 'subjects'}")
    print(f"boxes: {folder / 'boxes.csv'}")
