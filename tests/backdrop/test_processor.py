"""How many threads a command computes with."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import pytest

from backdrop import processor
from backdrop.processor import limit  # as it is, before a test puts another in its place


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two cores, on which the user has set nothing."""
    for name in (processor.THREADS, processor.WAITING, "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    machine(2, math.inf, monkeypatch)


def machine(cores: int, given: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(processor, "limit", lambda _: given)


@pytest.mark.parametrize(
    ("command", "cores", "computing", "threads"),
    [
        ("train", 2, 1.0, "1"),
        ("train", 2, 0.5, "1"),
        ("train", 2, 0.1, None),
        ("predict", 2, 1.0, None),
        ("train", 2, 2.0, "1"),
        ("train", 16, 1.0, "15"),
        ("train", 64, 40.2, "24"),
    ],
)
def test_a_training_beside_others_leaves_them_their_cores_and_says_so_once(
    command: str,
    cores: int,
    computing: float,
    threads: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine(cores, math.inf, monkeypatch)
    monkeypatch.setattr(processor, "busy", lambda *_: computing)
    processor.settle(command)
    processor.settle(command)
    assert os.environ.get("OMP_NUM_THREADS") == threads
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    said = f"Other programs compute on this machine: threads used: {threads} on {cores} cores; OMP_NUM_THREADS={cores} "
    assert capsys.readouterr().err.count(said) == (threads is not None)


@pytest.mark.parametrize(("given", "computing", "threads"), [(2.0, 30.0, "2"), (0.5, 0.0, "1"), (8.0, 62.0, "2")])
def test_a_training_in_a_container_takes_no_more_than_is_given(
    given: float,
    computing: float,
    threads: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine(64, given, monkeypatch)
    monkeypatch.setattr(processor, "busy", lambda *_: computing)
    processor.settle("train")
    assert os.environ["OMP_NUM_THREADS"] == threads
    assert ("This container is given a part" in capsys.readouterr().err) == (given < 64 - computing)


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "busy", lambda *_: 2.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    processor.settle("train")
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("2", "active")


def test_a_process_that_a_training_has_started_beside_itself_does_not_take_it_for_another_program(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "busy", lambda *_: 2.0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    processor.settle("fit")
    assert "OMP_NUM_THREADS" not in os.environ


def test_busy_cores_are_counted_from_the_ticks_of_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that this process may use; others of the machine have nothing to do with it."""
    stat = tmp_path / "stat"  # user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text("cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 0 0 9 0 0 0 0 0 0\ncpu1 50 0 20 400 20 0 0 0 3 0\n"
                    "cpu10 50 0 30 400 30 0 0 0 4 0\nintr 5\n")  # fmt: skip
    later = ("cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 99 0 0 9 0 0 0 0 0 0\ncpu1 70 10 20 410 30 0 0 0 5 0\n"
             "cpu10 60 0 40 430 30 0 0 0 4 0\nintr 6\n")  # fmt: skip
    monkeypatch.setattr(processor.time, "sleep", lambda _: stat.write_text(later))
    assert processor.busy(stat, {1, 10}) == pytest.approx(2 * (30 + 20) / (50 + 50))
    assert processor.busy(tmp_path / "none", {1, 10}) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("200000 100000\n", 2.0), ("50000 100000\n", 0.5), ("max 100000\n", math.inf), ("?", math.inf)],
)
def test_what_a_container_is_given_is_read_from_its_group(text: str, expected: float, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert limit(tmp_path / "cpu.max") == expected
    assert limit(tmp_path / "none") == math.inf


def test_torch_is_not_loaded_before_it_is_settled() -> None:
    source = Path(sys.modules["backdrop"].__file__ or "").parent / "__main__.py"
    text = source.read_text(encoding="utf-8")
    assert text.index("settle(") < text.index("from experiments.cli import main")
