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
    own = cores()
    if len(own) < 2:
        return
    free, given = len(own) - busy(_STAT, own), limit(_LIMIT)
    threads = max(1, math.ceil(min(free, given) - _HALF))
    if threads >= len(own):
        return
    os.environ[THREADS] = str(threads)
    why = "This container is given a part of the machine" if given < free else "Other programs compute on this machine"
    print(
        f"{why}: threads used: {threads} on {len(own)} cores; {THREADS}={len(own)} uses all cores.",
        file=sys.stderr,
        flush=True,
    )


def cores() -> set[int]:
    """The numbers of the cores that this process may use: all, or those that taskset or a scheduler leaves it."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def shared(processes: int) -> dict[str, str]:
    """What processes that are started to compute at a time need in their environment, so that they share the cores.

    Args:
        processes: How many there are at a time.

    Returns:
        The variable and its value; nothing for a single one, or where the number of threads is set already.
    """
    if processes < 2 or THREADS in os.environ:
        return {}
    return {THREADS: str(max(1, len(cores()) // processes))}


def busy(stat: Path, numbers: Collection[int], seconds: float = _LOOK) -> float:
    """How many of some cores compute meanwhile.

    Args:
        stat: Linux's counters, ``/proc/stat``.
        numbers: Of the cores.
        seconds: How long to look.

    Returns:
        Cores, 0 where the counters cannot be read.
    """
    before = _ticks(stat, numbers)
    if before is None:
        return 0.0
    time.sleep(seconds)
    after = _ticks(stat, numbers)
    if after is None or after[1] == before[1]:
        return 0.0
    return len(numbers) * (after[0] - before[0]) / (after[1] - before[1])


def _ticks(stat: Path, numbers: Collection[int]) -> tuple[int, int] | None:
    """Ticks of some cores in which something computed, and all their ticks."""
    names = {f"cpu{number}" for number in numbers}
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
