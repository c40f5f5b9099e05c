"""Whether Backdrop's rooms are its own: a user's project may have packages of the same names, as many templates do."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from backdrop.errors import RunError
from backdrop.trusted import ROOMS

HOME = Path(__file__).resolve().parent.parent
"""Where all rooms lie."""
WAY_OUT = (
    "load the exported model in Python, which needs no such package (backdrop export RUN -o MODEL.onnx, called where "
    'that folder is not on the path; then backdrop.load("MODEL.onnx"))'
)


def require_rooms(what: str, rooms: Sequence[str] = ROOMS, way: str = WAY_OUT) -> None:
    """Refuse packages of somebody else under the names of ours.

    Args:
        what: What cannot be done then.
        rooms: Those that are needed.
        way: What to do instead.

    Raises:
        RunError: If Python finds another one first.
    """
    for room in rooms:
        place = _place(room)
        if place is not None and place.resolve() != HOME / room:
            raise RunError(f"{what}: Python finds {place} under the name {room}, a package of Backdrop: {way}.")


def _place(room: str) -> Path | None:
    """The folder, or the file, of the package that Python finds under a name; None where there is none."""
    found = find_spec(room)
    if found is None:
        return None
    places = [*(found.submodule_search_locations or ()), *filter(None, [found.origin])]  # none of a file experiments.py
    return Path(places[0]) if places else None
