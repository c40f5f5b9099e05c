"""Replacing what a command has written into a folder: whenever it is killed, the former or the new result is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backdrop.errors import RunError, warn
from backdrop.files import FULL, NotWritten, absent, naming, remove_empty
from backdrop.locks import sole

PART, NEW, PLACED, LOCK = ".part", ".new", ".placed", ".writing"
OWN = (PART, NEW, PLACED, LOCK)
"""What lies in the folder for a while."""


@contextmanager
def replacing(output: Path, names: Sequence[str], require_free: Callable[[], object]) -> Iterator[Path]:
    """A folder for a new result, which replaces the former one in ``output`` once it is complete.

    ::

        OUTPUT/.part/      being written; left by a killed process, it is removed by the next one
               .new/       complete, while the former result is removed
               .placed/    likewise, while the new one gets its names
               .writing    locked as long as a process writes here

    Of a process that is killed, the next one into this folder places what was complete, and says so.

    Args:
        output: The folder that the user asked for; what else lies in it stays.
        names: What a result may consist of; the last one, by which it is known, goes last and comes first.
        require_free: Called before anything is written; raises where something in ``output`` must stay.

    Yields:
        An empty folder inside ``output``; gone in the end, also after an error, when ``output`` is as it was.

    Raises:
        NotWritten: If it cannot be made or renamed, or where the disk is full in the block.
        RunError: If ``output`` is no folder, another process writes into it, or what lies under the four names is not
            of such a result.
    """
    if os.path.lexists(output) and not output.is_dir():
        raise RunError(f"{output} is no folder: choose another output folder.")
    if (output / LOCK).is_dir() or ((output / LOCK).is_file() and (output / LOCK).stat().st_size):
        raise _strange(output / LOCK)
    before, part = absent(output), output / PART
    try:
        with sole(output / LOCK) as alone:
            if not alone:
                raise RunError(
                    f"Another process writes into {output}: wait for its end, or choose another output folder."
                )
            _require_own(output, names)
            if (output / NEW).exists() or (output / PLACED).exists():
                _place(output, names)
                warn(f"A process that was killed had completed what it wrote into {output}: it is in place now.")
            require_free()
            with naming(output):
                _remove(part)
                part.mkdir(parents=True)
            try:
                yield part
                with naming(output):
                    os.replace(part, output / NEW)
                _place(output, names)
            except OSError as error:
                if error.errno in FULL and error.filename is None:  # which does not say what it is about
                    raise NotWritten(error.errno, error.strerror, str(output)) from error
                raise
            finally:
                shutil.rmtree(part, ignore_errors=True)
    finally:
        remove_empty(before)


def _require_own(output: Path, names: Sequence[str]) -> None:
    """Refuse folders under our names that hold what no such result does: somebody else's, or another command's.

    Raises:
        RunError: Naming the first one.
    """
    for path in (output / NEW, output / PLACED, output / PART):
        if not os.path.lexists(path):
            continue
        if path.is_symlink() or not path.is_dir():
            raise _strange(path)
        inside = {name for name in os.listdir(path) if path.name != PART or not name.startswith(".")}
        if inside - {*names}:
            raise _strange(path)


def _strange(path: Path) -> RunError:
    """The error about something that is not ours."""
    whose = "somebody else's, or of another command that was killed"
    return RunError(f"{path} is not of this command ({whose}): move it away, or choose another output folder.")


def _place(output: Path, names: Sequence[str]) -> None:
    """Let a complete result replace the former one; begun again after a kill, it goes on."""
    new, placed = output / NEW, output / PLACED
    with naming(output):
        if new.exists():
            for name in names:
                _remove(output / name)
            os.replace(new, placed)
        for name in reversed(names):
            if (placed / name).exists():
                os.replace(placed / name, output / name)
        placed.rmdir()


def _remove(path: Path) -> None:
    """Remove a file or a folder, which need not be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
