"""File names of labelled frames, which say of which input they are."""

from __future__ import annotations

import re
from itertools import count


class Names:
    """Gives names that no two frames share, on no file system.

    They hold letters, digits, ``_`` and ``-`` only, which lists of names and programs that split them leave whole.
    """

    def __init__(self) -> None:
        self._given = set[str]()

    def new(self, wanted: str) -> str:
        """A name, with a number at its end where it is given already.

        Args:
            wanted: What it should be like; what is left aside becomes ``_``.
        """
        plain = re.sub(r"[^\w-]", "_", wanted.encode("utf-8", "replace").decode("utf-8")) or "_"
        spellings = (plain if number == 1 else f"{plain}-{number}" for number in count(1))
        name = next(spelling for spelling in spellings if spelling.casefold() not in self._given)
        self._given.add(name.casefold())
        return name
