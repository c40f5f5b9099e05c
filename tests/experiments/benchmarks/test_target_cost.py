"""``target-cost`` measures real targets in processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cli import main


def test_cost_is_measured_for_every_length_and_height(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "cost.json"
    assert main(["target-cost", "--lengths", "16", "--heights", "16", "32", f"--output={output}"]) == 0
    found = json.loads(output.read_text())["cost"]
    assert list(found) == ["16 frames of 28x16", "16 frames of 56x32"]
    assert all(one["seconds"] > 0 and 50 < one["memory"] < 4096 for one in found.values())
    assert "processor s a frame" in capsys.readouterr().out
    assert main(["target-cost", "--lengths", "0"]) == 2
