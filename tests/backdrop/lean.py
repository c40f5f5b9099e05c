"""Stands for an environment that has onnxruntime, av and numpy only: imports of anything else of ours fail."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MISSING = (
    "torch torchvision cv2 PIL scipy lightning pytorch_lightning kornia jsonargparse docstring_parser rich yaml pandas "
    "matplotlib torchmetrics wandb ortools h5py"
)


class Blocker:
    """Finds no module of those that are missing."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] in MISSING.split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def block() -> None:
    """Let imports of what is missing fail, and let nobody find it."""
    import importlib.util

    find = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name.partition(".")[0] in MISSING.split() else find(name, package)

    importlib.util.find_spec = find_spec  # type: ignore[assignment]
    sys.meta_path.insert(0, Blocker())
