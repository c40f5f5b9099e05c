"""Whether Backdrop's rooms are its own: a user's project may have packages of the same names, as many templates do."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from backdrop.errors import RunError
from backdrop.trusted import ROOMS

HOME = Path(__file__).resolve().parent.parent
"""Where all rooms lie."""


def require_own_rooms() -> None:
    """Refuse to go on where another package would be imported in the place of a room.

    Raises:
        RunError: If there is one; the message names its folder and the way out.
    """
    for room in ROOMS:
        if (found := _place(room)) != HOME / room:
            raise RunError(
                f"{found} stands in the place of Backdrop's own package {room}: start Python where that folder is not "
                "on its path, or use the exported model, which needs none of these packages: backdrop export RUN -o "
                'model.onnx, then backdrop predict model.onnx ..., or backdrop.load("model.onnx") in Python.'
            )


def _place(room: str) -> Path | None:
    """The folder of a room as Python finds it now; None where it finds none."""
    module = sys.modules.get(room)
    origin = getattr(module, "__file__", None) if module else getattr(find_spec(room), "origin", None)
    return Path(origin).resolve().parent if origin else None
