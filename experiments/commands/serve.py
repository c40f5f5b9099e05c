"""``serve``: a local page on which a model is tried."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def serve(
    run: Path,
    port: int = 7860,
    threshold: float | None = None,
    subjects: int = 1,
    checkpoint: Literal["last", "best"] | None = None,
    megabytes: float = 100,
    megapixels: float = 25,
    seconds: float = 30,
) -> None:
    """Serve a local page: drop an image or a short clip, and see mask, box, cut-out and score.

    It answers this machine only, asks nobody else, and reads no file but those that are dropped on it; they are deleted
    when it ends, which Ctrl-C does.

    Args:
        run: A run folder, such as runs/demo, or an exported model, such as cat.onnx.
        port: Where the page is: http://127.0.0.1:PORT; 0 takes a free one.
        threshold: Mask values from here on count as subject (that of an exported model, else 0.5).
        subjects: Most subjects to find in a frame.
        checkpoint: Of a run folder: the last one, as usual, or the best: that of the smallest val/loss.
        megabytes: The largest file.
        megapixels: The largest image, or frame of a clip.
        seconds: The longest clip.
    """
    from tempfile import TemporaryDirectory

    from backdrop.loading import load
    from experiments.serving import page
    from experiments.serving.limits import Limits

    limits = Limits(megabytes, megapixels, seconds)
    model = load(run, threshold, subjects, checkpoint)
    with TemporaryDirectory(prefix="backdrop-") as folder:
        app = page.build(model, limits, Path(folder), f"Backdrop: {run.resolve().name}")
        page.serve(app, port, lambda address: print(f"{address} (Ctrl-C ends it)", flush=True))
