"""File names of labelled frames, which say of which input they are."""

from __future__ import annotations

import re
from itertools import count

_MOST, _END = 200, 24
"""Bytes of a name, as file systems take 255 with a suffix and a number; characters that stay at its end."""


class Names:
    """Gives names that no two frames share, on no file system.

    They hold letters, digits, ``_`` and ``-`` only, which lists of names and programs that split them leave whole.
    """

    def __init__(self) -> None:
        self._given = set[str]()

    def new(self, wanted: str) -> str:
        """A name, with a number at its end where it is given already.

        Args:
            wanted: What it should be like; what is left aside becomes ``_``, and the middle of a long one is left out.
        """
        plain = _shortened(re.sub(r"[^\w-]", "_", wanted.encode("utf-8", "replace").decode("utf-8"))) or "_"
        spellings = (plain if number == 1 else f"{plain}-{number}" for number in count(1))
        name = next(spelling for spelling in spellings if spelling.casefold() not in self._given)
        self._given.add(name.casefold())
        return name


def _shortened(name: str) -> str:
    """A name that file systems take: its begin, and its end with the frame's number."""
    content = name.encode("utf-8")
    if len(content) <= _MOST:
        return name
    end = name[-_END:]
    return content[: _MOST - len(end.encode("utf-8"))].decode("utf-8", "ignore") + end
