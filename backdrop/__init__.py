"""Backdrop learns to find and cut out the moving subject of a video from unlabelled footage.

This package is the common ground of all rooms: the typed batch and step output, the box convention, whole-file writing
and progress. Importing it costs nothing: torch is imported by the modules that need it.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("backdrop-seg")  # the distribution; `backdrop` on PyPI is another project
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
