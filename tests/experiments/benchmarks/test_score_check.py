"""``score-check``: which frames are held against the others, and what is said where there are no scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.benchmarks.score_check import lowest_tenth
from experiments.cli import main


def test_the_lowest_tenth_is_a_tenth_of_the_frames_and_one_at_least() -> None:
    score = np.array([0.9, 0.1, 0.5, 0.3, *np.linspace(0.6, 0.8, 16)])
    assert np.flatnonzero(lowest_tenth(score)).tolist() == [1, 3]
    assert np.flatnonzero(lowest_tenth(np.array([0.5, 0.2, 0.2]))).tolist() == [1]


def test_runs_without_scores_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "frames.csv").write_text("clip,frame,j,box_iou,score\nbear,0,0.5,0.4,\n")
    (tmp_path / "run" / "results.json").write_text('{"j_mean": 0.5}')
    assert main(["score-check", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("holds 0 runs with scores, expected 2 or more: calibrate and evaluate them.")
