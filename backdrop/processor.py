"""How many threads a command computes with, and that threads which wait do not spin; settled before torch is loaded."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

TRAINING = ("train", "fit", "sweep", "trial", "prepare", "targets")
"""The commands that compute for minutes or more."""

THREADS, WAITING = "OMP_NUM_THREADS", "OMP_WAIT_POLICY"
"""The variables of OpenMP, which torch computes with; what the user has set stays."""

_STAT = Path("/proc/stat")  # of Linux; elsewhere nobody looks whether others compute
_LOOK = 0.25  # seconds
_BUSY = 0.5  # cores


def settle(command: str) -> None:
    """Let this process, and those that it starts, share the processor with other programs.

    Threads that wait for each other spin: where another program holds a core they burn ten times the time that the work
    needs. So they are to sleep while they wait; and a training leaves others the cores that they hold, and says so.

    Args:
        command: Its name on the command line.
    """
    os.environ.setdefault(WAITING, "passive")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if command not in TRAINING or THREADS in os.environ or cores < 2 or (held := busy(_STAT)) < _BUSY:
        return
    threads = max(1, cores - max(1, round(held)))
    os.environ[THREADS] = str(threads)
    used = "one thread is used" if threads == 1 else f"{threads} threads are used"
    print(
        f"Other programs compute on this machine: {used}; {THREADS}={cores} uses all cores.",
        file=sys.stderr,
        flush=True,
    )


def busy(stat: Path, seconds: float = _LOOK) -> float:
    """How many cores compute meanwhile.

    Args:
        stat: Linux's counters, ``/proc/stat``.
        seconds: How long to look.

    Returns:
        Cores, 0 where the counters cannot be read.
    """
    before = _ticks(stat)
    time.sleep(seconds)
    after = _ticks(stat)
    if before is None or after is None or after[1] == before[1]:
        return 0.0
    cores = os.cpu_count() or 1
    return cores * (after[0] - before[0]) / (after[1] - before[1])


def _ticks(stat: Path) -> tuple[int, int] | None:
    """Ticks of all cores in which something computed, and all ticks."""
    try:
        counted = [int(word) for word in stat.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return sum(counted) - sum(counted[3:5]), sum(counted)  # without idle, and waiting for a disk
