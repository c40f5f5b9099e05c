"""Which classes a file may name: importing a module runs its code, so a saved run names no module of its own choice."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

ROOMS = ("backdrop", "callbacks", "datamodules", "experiments", "lightning_modules")
VARIABLE = "BACKDROP_TRUST"
"""Names packages of the user's, with commas between them, whose classes saved runs may name."""


def may_be_imported(path: str) -> bool:
    """Whether a class may be imported because a file names it.

    Args:
        path: A ``class_path``.

    Returns:
        Whether it is one of Backdrop's, one of a package that the variable ``BACKDROP_TRUST`` names, or one whose
        module this process has imported already, as where the command line names it.
    """
    module, _, _ = path.rpartition(".")
    trusted = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
    return not module or module in sys.modules or module.partition(".")[0] in {*ROOMS, *trusted}


def untrusted(saved: object) -> str | None:
    """Look for a class of somebody else in what a file holds, before it is imported.

    Args:
        saved: Dictionaries and lists in one another, as of a config.

    Returns:
        What to say of the first one after the file's name; None where there is none.
    """
    for path in _class_paths(saved):
        if not may_be_imported(path):
            return (
                f"names the class {path}, which is none of Backdrop's, and to import it runs its code: if you trust "
                f"it, set {VARIABLE}={path.partition('.')[0]} and call the command again"
            )
    return None


def _class_paths(tree: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if name in ("class_path", "_class_path") and isinstance(value, str):
                yield value
            yield from _class_paths(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _class_paths(value)
