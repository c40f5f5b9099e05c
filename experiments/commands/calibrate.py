"""``calibrate``: give a trained run its score, as every training of stage 2 does at its end."""

from __future__ import annotations

from pathlib import Path


def calibrate(run: Path) -> None:
    """Calibrate the score of a trained run, which tells frames with its subject from others; no label is used.

    Args:
        run: Run folder, such as runs/demo.
    """
    from backdrop.errors import RunError
    from datamodules import FramesDataModule
    from experiments.calibration import calibrate as calibration
    from experiments.runs.restore import load_data, segment_folder

    folder = segment_folder(run)
    data = load_data(folder.config())
    if not isinstance(data, FramesDataModule):
        raise RunError(f"{type(data).__name__} is no FramesDataModule: no frames to calibrate on.")
    if (kept := folder.clips()) is not None:
        data.keep_splits(kept)
    data.prepare(("train", "val"))
    data.setup("fit")
    print(calibration.calibrate(folder, data).sentence())
    print(f"score: {folder.score_file}")
