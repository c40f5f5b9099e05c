"""``benchmark train``."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.benchmarks import training
from experiments.benchmarks.checkouts import HERE, Checkout, Spent
from experiments.benchmarks.parts import BACKWARD, OPTIMISER, REST, product_rate
from experiments.cli import main

PARTS = {"parts": {BACKWARD: 0.25, "D forward": 0.05}, "images": 16, "flops": 8e9, "peak": 8e10}


def alone(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same without the other checkout."""
    return {kind: {key: value for key, value in one.items() if key != "against"} for kind, one in found.items()}


def test_a_step_is_the_difference_of_two_lengths_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command costs 10 s beside its steps; a step costs .5 s here, and 1 s in a checkout without targets."""
    other, calls = tmp_path / "other", list[tuple[str, int]]()
    (other / "experiments" / "configs").mkdir(parents=True)

    def run(checkout: Checkout, words: list[str]) -> Spent:
        options = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
        steps, here = int(options["--trainer.max_steps"]), checkout.folder == HERE
        calls.append(("here" if here else "there", steps))
        last = Path(options["--trainer.default_root_dir"]) / "checkpoints" / "last.ckpt"
        last.parent.mkdir(parents=True, exist_ok=True)
        last.touch()
        if "--trainer.callbacks+" in words:
            Path(json.loads(words[-1])[0]["init_args"]["path"]).write_text(json.dumps(PARTS), encoding="utf-8")
        return Spent(10 + steps * (0.5 if here else 1.0), 2**30)

    monkeypatch.setattr(Checkout, "run", run)
    found = training.training(tmp_path, ["inpaint", "cues"], 24, 2, other)
    assert found["inpaint"]["seconds"] == pytest.approx(0.5)
    assert found["inpaint"]["against"] == {"seconds": 1.0, "memory": 2**30, "ratio": 2.0}
    assert found["cues"]["against"] == {"missing": "there is no such training"}
    assert [len(training.tables(found)[0].columns), len(training.tables(alone(found))[0].columns)] == [9, 6]
    assert calls[2:10] == [(name, steps) for name in ("here", "there") for steps in (4, 24)] * 2
    whole, parts = (["|".join(cell.text for cell in row.cells) for row in one.rows] for one in training.tables(found))
    assert whole[0] == "inpaint|0.500|32.0|8.0|20%|1024|1.000|1024|2.00"
    assert whole[1] == "cues|0.500|32.0|8.0|20%|1024|there is no such training||"
    assert parts == [f"{BACKWARD}|250|250", "D forward|50|50"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--kinds=static"], "--kinds static is unknown: choose inpaint, inpainting, temporal, cues"),
        (["--steps=4"], "--steps must be above 4"),
        (["--rounds=0"], "--rounds 1 or more"),
        (["--against=/nowhere"], "--against /nowhere is no checkout"),
    ],
)
def test_wrong_options_are_refused(wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "train", *wrong]) == 2
    assert said in capsys.readouterr().err


def test_a_command_ends_with_who_measures_it(tmp_path: Path) -> None:
    code = "import os, pathlib, signal, time\n"
    code += "pathlib.Path('pid').write_text(str(os.getpid()))\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(600)\n"
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__main__.py").write_text(code)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process of pytest-xdist ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            Checkout(tmp_path, tmp_path / "cache").run(["fit"])
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_peak_is_that_of_products() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert 1e8 < product_rate(64, 0.01) < 1e13
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_a_training_is_measured_by_part(tmp_path: Path) -> None:
    found = training.training(tmp_path, ["inpainting"], 6, 1, None)["inpainting"]
    assert {"D forward", "S forward", "I forward", REST, BACKWARD, OPTIMISER} <= found["parts"].keys()
    assert all(value >= 0 for value in found["parts"].values())
    assert found["flops"] > 1e9 and found["images"] == 16
