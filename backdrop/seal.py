"""A check sum within the file that it is of, so that a damaged copy is refused before a library reads it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

_DIGITS = 64
_SEAL = re.compile(rb"sha256:[0-9a-f]{%d}" % _DIGITS)

BLANK = "sha256:" + _DIGITS * "0"
"""What stands in a file, once, in the place of its check sum, until it is sealed."""


@dataclass(frozen=True)
class _Found:
    """Where the check sum stands in a file, what stands there, and what should."""

    start: int
    there: bytes
    right: bytes


def seal(path: Path) -> None:
    """Put the check sum of a file in its place.

    Args:
        path: A file in which :data:`BLANK` stands.

    Raises:
        ValueError: If it does not.
    """
    found = _find(path)
    if found is None:
        raise ValueError(f"{path} has no place for a check sum.")
    with path.open("r+b") as file:
        file.seek(found.start)
        file.write(found.right)


def has_changed(path: Path) -> bool | None:
    """Whether a file has other bytes than it was sealed with; None where no check sum is found in it."""
    found = _find(path)
    return None if found is None else found.there != found.right


def _find(path: Path) -> _Found | None:
    content = path.read_bytes()
    place = _SEAL.search(content)
    if place is None:
        return None
    digest = hashlib.sha256(memoryview(content)[: place.start()])
    digest.update(BLANK.encode())
    digest.update(memoryview(content)[place.end() :])
    return _Found(place.start(), place.group(), f"sha256:{digest.hexdigest()}".encode())
