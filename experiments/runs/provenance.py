"""What made a result: command, commit, versions."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = (
    *("backdrop-seg", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "kornia", "albumentations", "numpy"),
    *("scipy", "opencv-python-headless", "opencv-python", "opencv-contrib-python", "av", "pillow", "h5py", "ortools"),
)
"""This package, whose wheel knows no commit, and all that touch pixels, weights or scores, as they are installed by
name; OpenCV comes under several."""


def commit() -> dict[str, Any]:
    """The commit of this source tree.

    Returns:
        ``commit`` (hexadecimal, None outside a repository) and ``dirty`` (whether tracked files differ from it).
    """
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return {"commit": None, "dirty": None}
    try:
        head = _git(root, "rev-parse", "HEAD")
        dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": head, "dirty": dirty}


def named(name: str | None, dirty: bool | None) -> str | None:
    """The name of a commit, hexadecimal, with ``-dirty`` behind it where tracked files differed.

    Args:
        name: The commit; None outside a repository.
        dirty: Whether tracked files differed from it.
    """
    return f"{name}{'-dirty' if dirty else ''}" if name else None


def short(name: str) -> str:
    """The name of a commit, abbreviated."""
    return f"{name[:10]}{'-dirty' if name.endswith('-dirty') else ''}"


def trained_by(before: Sequence[str]) -> list[str]:
    """The commits of a training, this one among them.

    Args:
        before: Those of its earlier calls.

    Returns:
        Each once, in order, hexadecimal, with ``-dirty`` behind it where tracked files differed.
    """
    found = commit()
    name = named(found["commit"], found["dirty"])
    return [*before] if name is None or name in before else [*before, name]


def versions() -> dict[str, str]:
    """Versions of the libraries that the numbers depend on."""
    found = versions_of(LIBRARIES)
    if "av" in found:
        import av

        found |= {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    return found


def versions_of(names: Sequence[str]) -> dict[str, str]:
    """Versions of packages, of those that are installed.

    Args:
        names: Of the packages.
    """
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(root: Path, *arguments: str) -> str:
    """Output of a git command that only reads."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
