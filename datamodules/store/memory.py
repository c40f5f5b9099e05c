"""How much memory this machine has."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_memory() -> int:
    """Memory in bytes: what is built in, or what the container may use, whichever is less.

    What happens to be free just now plays no part: the answer is the same at the next start.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _LIMITS:
        with suppress(OSError, ValueError):  # there is no such limit, or it is "max"
            memory = min(memory, int(Path(limit).read_text()))
    return memory
