"""Writing a file whole or not at all: under a temporary name beside its target first, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from backdrop.locks import claim

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk says that has no room, which only writing meets."""


class NotWritten(OSError):
    """What this program writes cannot be written: the disk is full, or forbids it. No input is at fault."""


class NotRead(OSError):
    """What this program reads cannot be read, and that is not the file's fault: the disk fails, or forbids it."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the disk name what is written; that of a full one does not by itself.

    Args:
        path: The file or folder.

    Raises:
        NotWritten: In place of any other error of the disk, but for one of what is read meanwhile.
    """
    try:
        yield
    except (NotRead, NotWritten):
        raise
    except OSError as error:
        if error.errno is None:  # a library's own
            raise
        raise NotWritten(error.errno, error.strerror, str(path)) from error


@contextmanager
def whole_file(path: Path, keep: Path | None = None, durable: bool = False) -> Iterator[Path]:
    """Let a block write a file that no reader ever sees half of.

    What a killed process has left under the temporary name is written over by the next one.

    Args:
        path: The file; its folder is made where it is missing.
        keep: The name that the former file gets, in the same folder; without one it is replaced.
        durable: Whether the bytes must be on the disk before the file gets its name, so that a crash of the machine
            leaves either file whole.

    Yields:
        A temporary name in the same folder. The block writes there; at its end the file gets its name.

    Raises:
        NotWritten: If the file cannot be written; it names ``path``, and what was there stays.
    """
    part, lock, renamed = path.with_name(f".{path.name}.part"), None, False
    try:
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if (lock := claim(part)) is None:  # another process writes the same file, or it cannot be locked
                part = path.with_name(f".{path.name}.{os.getpid()}.part")
            yield part
            if durable:
                to_disk(part)
            if keep is not None and path.exists():
                os.replace(path, keep)
            os.replace(part, path)
            renamed = True  # by now another process may write under the temporary name
            if durable:
                with suppress(OSError):  # not every file system knows it of folders
                    to_disk(path.parent)
    finally:
        if not renamed:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, whole or not at all.

    Args:
        path: The file; its folder is made where it is missing.
        text: The content. Names of files in it may hold bytes that are not UTF-8 (``surrogateescape``).

    Raises:
        NotWritten: If it cannot be written; what was there stays.
    """
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")


def absent(folder: Path) -> list[Path]:
    """A folder and those above it, as far as they are not there yet, the deepest first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders in which nothing is, or only folders in which nothing is; a failed call has made them in vain.

    Args:
        folders: What :func:`absent` has listed before the call.
    """
    for top in folders:
        inside = sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True)  # the deepest first
        for folder in (*inside, top):
            with suppress(OSError):  # something is in it, or it was never made
                folder.rmdir()


def sha256(path: Path) -> str:
    """Check sum of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
