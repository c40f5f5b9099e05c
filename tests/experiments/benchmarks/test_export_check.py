"""``export-check`` compares an exported file with its run, and times both in turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backdrop.found import Found, Pixels
from experiments.benchmarks.export_check import in_turns, spread
from experiments.cli import main
from tests import fake_data


def test_frames_are_spread_over_all_folders(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        fake_data.write_images(tmp_path / name, frames=4)
    found = spread(tmp_path, 6)
    assert [path.parent.name for path in found] == ["a", "a", "b", "b", "c", "c"]
    assert [path.name for path in found[:2]] == ["00000.jpg", "00002.jpg"]
    assert len(spread(tmp_path, 100)) == 12


def test_engines_are_timed_in_turns() -> None:
    called, ticks = list[str](), list[int]()

    def engine(name: str):  # noqa: ANN202
        def find(images: list[Pixels]) -> list[list[Found]]:
            called.append(name)
            return [[] for _ in images]

        return find

    engines = {name: engine(name) for name in ("a", "b")}
    speeds = in_turns(engines, [np.zeros((2, 2, 3), np.uint8)] * 3, 2, lambda: ticks.append(1))
    assert called == ["a", "b", "a", "b", "a", "b"] and len(ticks) == 2  # the first two make ready
    assert list(speeds) == ["a", "b"] and all(speed.clock > 0 for speed in speeds.values())


@pytest.mark.parametrize("words", [["--frames", "3"], ["--threads", "0"], []])
def test_wrong_arguments_are_refused(tmp_path: Path, words: list[str]) -> None:
    assert main(["export-check", str(tmp_path), str(tmp_path / "cat.onnx"), str(tmp_path), *words]) == 2
