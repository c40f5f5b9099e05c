"""Advisory locks on files (``flock``): held for a moment, or as long as the process lives."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def flock(path: Path, wait: bool) -> Iterator[bool]:
    """Lock a file, which is made where it is missing.

    Args:
        path: The file.
        wait: Whether to wait for another process; else somebody else's lock gives False at once.

    Yields:
        Whether it is locked; False where there are no locks.
    """
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    except PermissionError as refused:
        try:
            handle = os.open(path, os.O_RDONLY)  # another user's; that is enough for a lock
        except FileNotFoundError:
            raise refused from None  # the folder forbids making it, which is what the user must know
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except OSError:
            held = False
        yield held
    finally:
        os.close(handle)


def hold(path: Path) -> int:
    """Lock a file, which is made where it is missing, until its descriptor is closed or the process ends.

    Args:
        path: The file.

    Returns:
        Its descriptor; where there are no locks, of a file that is not locked.

    Raises:
        OSError: If the file cannot be made.
    """
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def claim(path: Path) -> int | None:
    """Lock a file for writing, unless another process has; it is made anew, empty, and may be renamed meanwhile.

    Args:
        path: The file.

    Returns:
        Its descriptor, locked until it is closed; None where it cannot be locked, where it is another user's, and where
        a lock would keep every other descriptor from writing, those of this process too, as on SMB (flock(2), CIFS
        details).

    Raises:
        OSError: If the file cannot be made.
    """
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        except PermissionError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, path):
                path.write_bytes(b"\0")
                os.ftruncate(handle, 0)
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            with suppress(OSError):
                path.unlink()
            os.close(handle)
            return None
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether a descriptor is that of the file which has the name now."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


@contextmanager
def sole(path: Path) -> Iterator[bool]:
    """Keep other processes out, by a file that is there as long as the block runs.

    A POSIX record lock, which forked processes do not inherit: a loader that outlives a kill does not keep it.

    Args:
        path: The file; made, with its folder, and removed at the end.

    Yields:
        Whether this process is the only one; also where a file cannot be made or locked, and nobody is kept out.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, free = _locked(path)
    except OSError:
        yield True
        return
    try:
        yield free
    finally:
        if free:
            with suppress(OSError):
                path.unlink()
        os.close(handle)


def _locked(path: Path) -> tuple[int, bool]:
    """Open and lock a file that may be removed by the process that held it; its descriptor, and whether it is free."""
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return handle, error.errno not in (errno.EACCES, errno.EAGAIN)
        if _is_at(handle, path):
            return handle, True
        os.close(handle)


class Use:
    """Holds entries in use by a lock that ends with the process.

    Args:
        handle: Descriptor of the locked file; None where there is nothing to hold.
        path: The file.
    """

    def __init__(self, handle: int | None, path: Path) -> None:
        self._handle = handle
        self._path = path
        self._process = os.getpid()

    def close(self) -> None:
        """Let go; a forked worker has a lock in common with its parent, and leaves the file to it."""
        if self._handle is not None and self._process == os.getpid():
            with suppress(OSError):
                self._path.unlink()
            os.close(self._handle)
        self._handle = None

    def __del__(self) -> None:
        """Let go."""
        self.close()

    def __reduce__(self) -> tuple[type[Use], tuple[None, Path]]:
        """A copy in another process holds nothing: the original does."""
        return Use, (None, self._path)
