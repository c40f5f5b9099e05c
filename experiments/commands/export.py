"""``export``: a trained run as one file, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def export(
    run: Path,
    output: Path | None = None,
    name: str = "subject",
    threshold: float = 0.5,
    checkpoint: Literal["last", "best"] = "last",
    licence: str = "unknown",
    data_licence: str = "unknown",
    frames: int = 16,
) -> None:
    """Write a run as one file: from an image of any size to mask, box, confidence and score.

    The suffix of the file says which: .onnx for onnxruntime, .pt2 for torch.export, .ckpt or .pt for Backdrop itself,
    without optimiser and inpainter. Each is compared with the run before it gets its name, and a model card is written
    beside it. A graph finds one subject; several (--subjects) and refined borders (--refine) need the run.

    Args:
        run: Run folder, such as runs/demo.
        output: The file (RUN/NAME.onnx).
        name: What the subject is called, such as cat.
        threshold: Mask values from here on count as subject; it is kept in the file.
        checkpoint: The last one, or the best: that of the smallest val/loss.
        licence: Licence of the weights, as the Hugging Face hub names it, such as cc-by-4.0.
        data_licence: Licence of the footage.
        frames: On how many frames of the run's data the file is compared with the run.
    """
    from backdrop.errors import UsageError
    from experiments.export.writing import export_run

    if not name.strip() or not name.isprintable() or set(name) & set("/\\"):
        expected = "expected what the subject is called, such as cat: --output names the file"
        raise UsageError(f"The name is {name!r}, {expected}")
    if not 0 < threshold < 1:
        raise UsageError(f"The threshold is {threshold}, expected a number between 0 and 1")
    said = {"name": name, "threshold": threshold, "licence": licence, "data_licence": data_licence}
    done = export_run(run, output or run / f"{name}.onnx", checkpoint, frames, **said)
    print(f"largest difference from PyTorch, on {done.differences.frames} {done.frames}: {done.differences}")
    print(f"model: {done.file} ({done.bytes / 1e6:.1f} MB)")
    print(f"model card: {done.card}")
    if licence == "unknown":
        print("The card says that the licence of the weights is unknown: give --licence, and --data-licence.")
