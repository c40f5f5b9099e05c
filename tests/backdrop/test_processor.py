"""How many threads a command computes with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from backdrop import processor


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two cores, on which the user has set nothing."""
    for name in (processor.THREADS, processor.WAITING):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)


@pytest.mark.parametrize(
    ("command", "computing", "threads"),
    [("train", 1.0, "1"), ("train", 0.1, None), ("predict", 1.0, None)],
)
def test_a_training_beside_others_takes_one_thread_and_says_so_once(
    command: str,
    computing: float,
    threads: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(processor, "busy", lambda _: computing)
    processor.settle(command)
    processor.settle(command)
    assert os.environ.get("OMP_NUM_THREADS") == threads
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    assert capsys.readouterr().err.count("OMP_NUM_THREADS=2 uses all cores") == (threads is not None)


@pytest.mark.parametrize(("computing", "threads"), [(0.7, "15"), (3.6, "12"), (30.0, "1")])
def test_of_many_cores_a_training_leaves_others_what_they_hold(
    computing: float, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {*range(16)}, raising=False)
    monkeypatch.setattr(processor, "busy", lambda _: computing)
    processor.settle("train")
    assert os.environ["OMP_NUM_THREADS"] == threads


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "busy", lambda _: 2.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    processor.settle("train")
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("2", "active")


def test_busy_cores_are_counted_from_the_ticks_of_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = tmp_path / "stat"  # user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text("cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 1 2 3\n")
    later = "cpu  130 10 60 840 60 0 0 0 9 0\n"
    monkeypatch.setattr(processor.time, "sleep", lambda _: stat.write_text(later))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert processor.busy(stat) == pytest.approx(4 * 50 / 100)
    assert processor.busy(tmp_path / "none") == 0


def test_torch_is_not_loaded_before_it_is_settled() -> None:
    source = Path(sys.modules["backdrop"].__file__ or "").parent / "__main__.py"
    text = source.read_text(encoding="utf-8")
    assert text.index("settle(") < text.index("from experiments.cli import main")
