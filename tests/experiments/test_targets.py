"""``targets``: the numbers of a footage whose answer is known, and a measurement that is gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backdrop.errors import UsageError
from datamodules.cues.targets import Targets
from experiments.cli import main
from experiments.commands.targets import _j, varied

DEMO = ["--data=demo", "--profile=small", "--data.init_args.test_clips=2", "--data.init_args.frames_per_clip=14"]


def test_constants_are_varied_one_at_a_time() -> None:
    found = varied(["colour=0.6,2", "height=180"])
    assert found == {
        "colour=0.6": Targets(colour=0.6), "colour=2": Targets(colour=2.0), "height=180": Targets(height=180)
    }  # fmt: skip
    with pytest.raises(UsageError, match="NAME is one of height, features, colour"):
        varied(["size=3"])
    with pytest.raises(UsageError, match="blue is no value of colour"):
        varied(["colour=blue"])


def test_unknown_pixels_are_left_out_of_the_targets_j() -> None:
    """Columns 2 to 5 of 6 against 1 and 2: one of five columns, or one of three where the last two are unknown."""
    mask, truth, known = np.zeros((3, 4, 6), dtype=bool)
    mask[:, 2:], truth[:, 1:3], known[:, :4] = True, True, True
    assert _j(mask, truth, np.ones_like(known)) == pytest.approx(1 / 5)
    assert _j(mask, truth, known) == pytest.approx(1 / 3)


def test_targets_are_measured_step_by_step_and_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # no weights: filters of the clip
    words = ["targets", str(tmp_path), "--vary", "height=160", "features=footage", "--groups=2", *DEMO]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "leave-group-out, 2 groups" in shown and "height=160" in shown
    file = tmp_path / "targets.json"
    found = json.loads(file.read_text())
    assert len(found) == 3  # settings
    for clips in found.values():
        assert len(clips) == 2
        for numbers in (one["numbers"] for one in clips.values()):
            assert list(numbers)[:3] == ["motion", "confirmed motion", "colours"]
            assert list(numbers)[3] in ("round 1", "cut")
            assert 0.3 < numbers["target"] <= 1 and 0.05 <= numbers["trust"] <= 1
            assert numbers["processor s a frame"] > 0
    first = next(iter(found))
    clip = next(iter(found[first]))
    found[first][clip]["numbers"]["target"] = 0.125
    file.write_text(json.dumps(found))
    assert main(words) == 0  # nothing is measured again
    assert "0.125" in capsys.readouterr().out
    file.write_text("{")
    assert main(words) == 1
    assert "targets.json is damaged" in capsys.readouterr().err
