"""Backdrop learns to find and cut out the moving subject of a video from unlabelled footage.

This package is the public face, :func:`load`, and the common ground of all rooms: the typed batch and step output, the
box convention, whole-file writing and progress. Importing it costs nothing: torch is imported by the modules that need
it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backdrop.errors import RunError
    from backdrop.found import Found
    from backdrop.loading import load
    from backdrop.model import Model
    from backdrop.result import Result

try:
    __version__ = version("backdrop-seg")  # the distribution; `backdrop` on PyPI is another project
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

__all__ = ["Found", "Model", "Result", "RunError", "__version__", "load"]

_HOMES = {
    "Found": "backdrop.found",
    "Model": "backdrop.model",
    "Result": "backdrop.result",
    "RunError": "backdrop.errors",
    "load": "backdrop.loading",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Load a part of the public face when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'backdrop' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
