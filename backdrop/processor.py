"""How many threads a command computes with, and that threads which wait do not spin; settled before torch is loaded."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path

TRAINING = ("train", "fit", "sweep", "trial", "prepare", "targets")
"""The commands that compute for minutes or more."""

THREADS, WAITING = "OMP_NUM_THREADS", "OMP_WAIT_POLICY"
"""The variables of OpenMP, which torch computes with; what the user has set stays."""

_RANK = "LOCAL_RANK"  # which Lightning sets for the processes that a training starts beside itself
_STAT = Path("/proc/stat")  # of Linux; elsewhere nobody looks whether others compute
_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # of a container, which sees the cores of the whole machine (Linux, cgroup v2)
_LOOK = 0.25  # seconds
_HALF = 0.5  # of a core: what is less busy counts as free


def settle(command: str) -> None:
    """Let this process, and those that it starts, share the processor with other programs.

    Threads that wait for each other spin: where another program holds a core they burn ten times the time that the work
    needs. So they are to sleep while they wait; and a training takes as many threads as there are cores on which
    nothing else computes, one at least, and says so. In a container it takes no more than that is given.

    Args:
        command: Its name on the command line.
    """
    os.environ.setdefault(WAITING, "passive")
    if command not in TRAINING or THREADS in os.environ or _RANK in os.environ:
        return
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
    if len(cores) < 2:
        return
    free, given = len(cores) - busy(_STAT, cores), limit(_LIMIT)
    threads = max(1, math.ceil(min(free, given) - _HALF))
    if threads >= len(cores):
        return
    os.environ[THREADS] = str(threads)
    why = "This container is given a part of the machine" if given < free else "Other programs compute on this machine"
    print(
        f"{why}: threads used: {threads} on {len(cores)} cores; {THREADS}={len(cores)} uses all cores.",
        file=sys.stderr,
        flush=True,
    )


def busy(stat: Path, cores: Collection[int], seconds: float = _LOOK) -> float:
    """How many of some cores compute meanwhile.

    Args:
        stat: Linux's counters, ``/proc/stat``.
        cores: Their numbers.
        seconds: How long to look.

    Returns:
        Cores, 0 where the counters cannot be read.
    """
    before = _ticks(stat, cores)
    time.sleep(seconds)
    after = _ticks(stat, cores)
    if before is None or after is None or after[1] == before[1]:
        return 0.0
    return len(cores) * (after[0] - before[0]) / (after[1] - before[1])


def _ticks(stat: Path, cores: Collection[int]) -> tuple[int, int] | None:
    """Ticks of some cores in which something computed, and all their ticks."""
    names = {f"cpu{core}" for core in cores}
    try:
        lines = [line.split() for line in stat.read_text(encoding="ascii").splitlines()]
        counted = [list(map(int, line[1:9])) for line in lines if line and line[0] in names]
    except (OSError, ValueError):
        return None
    ticks = sum(map(sum, counted))
    return ticks - sum(sum(one[3:5]) for one in counted), ticks  # without idle, and waiting for a disk


def limit(path: Path) -> float:
    """How many cores a container is given.

    Args:
        path: Microseconds of the processor in a period, and the period, as of cgroup v2: ``200000 100000``.

    Returns:
        Cores; infinite where there is no limit.
    """
    try:
        most, period = path.read_text(encoding="ascii").split()
        return math.inf if most == "max" else int(most) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
