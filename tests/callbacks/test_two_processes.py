"""Two gloo processes give exactly the numbers of one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from callbacks import MaskMetrics
from tests.callbacks import toy


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    """Run two_processes.py; give what each process saw."""
    folder = tmp_path_factory.mktemp("ddp")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("two_processes.py")), str(folder)]
    logs = [folder / f"rank_{rank}.log" for rank in (0, 1)]
    processes = [
        subprocess.Popen(
            command, env=environment | {"LOCAL_RANK": str(rank)}, stdout=log.open("w"), stderr=subprocess.STDOUT
        )
        for rank, log in enumerate(logs)
    ]
    try:
        codes = [process.wait(timeout=180) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [0, 0], "\n".join(log.read_text() for log in logs)
    files = [folder / f"rank_{rank}.json" for rank in (0, 1)]
    return [json.loads(file.read_text()) for file in files], folder


def same(a: object, b: object) -> bool:
    """Compare nested dicts of numbers exactly, NaN equal to NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b or (a != a and b != b)


@pytest.mark.parametrize("case", ["odd", "half"])
def test_results_equal_one_process(
    ranks: tuple[list[dict[str, Any]], Path], case: str, tmp_path: Path
) -> None:
    """Padded samplers and a process without annotated frames change nothing, to the last bit."""
    frames = toy.ToyFrames(toy.ODD_CLIPS, annotated=toy.half_annotated if case == "half" else None)
    metrics = MaskMetrics()
    toy.trainer(tmp_path, [metrics]).test(toy.ToyModule(), toy.loader(frames, batch_size=4), verbose=False)
    assert metrics.results["frames"] == (7 if case == "half" else 13)
    assert 0 < metrics.results["j_mean"] < 1 and 0 < metrics.results["hit_rate"] < 1
    for seen in ranks[0]:
        assert same(seen[case], metrics.results)


def test_validation_equals_one_process(
    ranks: tuple[list[dict[str, Any]], Path], tmp_path: Path
) -> None:
    """Every process logs the same numbers in validation too, so checkpoints agree."""
    trainer = toy.trainer(tmp_path, [MaskMetrics()])
    trainer.validate(toy.ToyModule(), toy.loader(toy.ToyFrames(toy.ODD_CLIPS)), verbose=False)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert len(logged) == 8
    for seen in ranks[0]:
        assert seen["odd_validation"] == logged


def test_process_without_frames(ranks: tuple[list[dict[str, Any]], Path]) -> None:
    """A process that was never updated gathers the other's frame and its clip's name."""
    first, second = (seen["one_rank_only"] for seen in ranks[0])
    assert same(first, second)
    assert first["j_mean"] == 1 and first["clips"]["only"]["frames"] == 1


def test_broken_loss_stops_both(ranks: tuple[list[dict[str, Any]], Path]) -> None:
    """The loss breaks in process 1, and both stop at that step."""
    first, second = (seen["error"] for seen in ranks[0])
    assert "of another process" in first and "is nan" in second
    assert "at step 1 " in first and "at step 1 " in second


def test_one_sheet(ranks: tuple[list[dict[str, Any]], Path]) -> None:
    """Only rank zero draws, and nothing unfinished is left."""
    names = sorted(path.name for path in (ranks[1] / "images").iterdir())
    assert names == ["test_sheet.png", "val_sheet.png"]
