"""The rooms and their arrows (docs/contributing.md): every import of every file is looked at."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("backdrop", "lightning_modules", "datamodules", "callbacks", "experiments")
INNER = ("geometry", "networks", "losses")
LIGHTNING = ("pytorch_lightning", "lightning", "lightning_fabric", "torchmetrics", "wandb")

THROUGH = {"backdrop.loading": ("datamodules.readers", "experiments.prediction")}
"""What a file may import against the arrows, inside functions: a model is loaded through what trained it."""


def forbidden(module: str) -> tuple[str, ...]:
    """Prefixes that a module, given by its dotted name, may not import."""
    room, _, rest = module.partition(".")
    inner = rest.split(".")[0]
    if room == "lightning_modules" and inner in INNER:
        allowed = {inner} if inner == "geometry" else {inner, "geometry"}
        strangers = tuple(f"lightning_modules.{name}" for name in INNER if name not in allowed)
        upstairs = ("lightning_modules",)  # the modules themselves; exceptions are cut out in `wrong`
        return ("datamodules", "callbacks", "experiments", "tests", *LIGHTNING, *strangers, *upstairs)
    if module == "backdrop.__main__":
        return (*(name for name in PACKAGES if name not in (room, "experiments")), *LIGHTNING, "tests")
    if room == "backdrop":
        return (*(name for name in PACKAGES if name != room), *LIGHTNING, "tests")
    if room in ("lightning_modules", "datamodules", "callbacks"):
        return (*(name for name in PACKAGES if name not in (room, "backdrop")), "tests")
    return ("tests",)


def allowed(module: str, imported: str) -> bool:
    """Whether an inner room imports itself or the geometry, or the file that loads models what it needs for that."""
    if any(imported.startswith(f"{name}.") for name in THROUGH.get(module, ())):
        return True
    parts = module.split(".")
    if parts[0] != "lightning_modules" or len(parts) < 2 or parts[1] not in INNER:
        return False
    own = [f"lightning_modules.{parts[1]}"] + ([] if parts[1] == "geometry" else ["lightning_modules.geometry"])
    return any(imported == name or imported.startswith(f"{name}.") for name in own)


def imports(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything a file imports, wherever in the file, relative imports resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: len(module.split(".")) - node.level + is_package]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            for name in node.names:
                yield node.lineno, f"{base}.{name.name}"


def wrong(source: str, module: str, is_package: bool = False) -> list[str]:
    """Imports of a file that go against the arrows."""
    found = []
    for line, imported in imports(source, module, is_package):
        hit = any(imported == name or imported.startswith(f"{name}.") for name in forbidden(module))
        if hit and not allowed(module, imported):
            found.append(f"line {line}: {module} imports {imported}")
    return found


def modules(root: Path) -> Iterator[tuple[Path, str]]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_import_follows_the_arrows(root: Path) -> None:
    found = [
        f"{path.relative_to(root)} {problem}"
        for path, module in modules(root)
        for problem in wrong(path.read_text(), module, path.name == "__init__.py")
    ]
    assert not found, "\n".join(found)


def test_every_room_is_there(root: Path) -> None:
    seen = {module for _, module in modules(root)}
    assert {*PACKAGES, *(f"lightning_modules.{name}" for name in INNER)} <= seen


def test_the_packages_are_the_top_level(root: Path) -> None:
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert listed == [f"{package}*" for package in PACKAGES]
    folders = {path.parent.name for path in root.glob("*/__init__.py")}
    assert folders == set(PACKAGES)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("backdrop.contracts", "from datamodules import base"),
        ("backdrop.contracts", "import pytorch_lightning"),
        ("backdrop.found", "import experiments.cli"),
        ("backdrop.__main__", "import datamodules"),
        ("backdrop.loading", "from experiments.runs import restore"),
        ("backdrop.model", "from datamodules.readers import VideoFrames"),
        ("callbacks.scores", "import lightning_modules"),
        ("callbacks.scores", "from datamodules.base import FramesDataModule"),
        ("datamodules.demo", "def f():\n    from callbacks import MaskMetrics"),
        ("datamodules.demo", "import experiments.cli"),
        ("lightning_modules.segmentation", "from datamodules import DemoDataModule"),
        ("lightning_modules.networks.detector", "from lightning_modules.losses import priors"),
        ("lightning_modules.networks.detector", "from ..losses import priors"),
        ("lightning_modules.networks.detector", "from lightning_modules import SegmentationModule"),
        ("lightning_modules.losses.priors", "import pytorch_lightning as pl"),
        ("lightning_modules.losses.box_fit", "from lightning_modules.networks import Detector"),
        ("lightning_modules.geometry.boxes", "from lightning_modules.losses import box_fit"),
        ("experiments.cli", "from tests import fake_data"),
    ],
)
def test_a_wrong_arrow_is_seen(module: str, source: str) -> None:
    assert wrong(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("lightning_modules.networks.detector", "from lightning_modules.geometry import boxes"),
        ("lightning_modules.networks.detector", "from lightning_modules.networks.blocks import double_conv"),
        ("lightning_modules.networks.detector", "from .blocks import double_conv"),
        ("callbacks.scores", "from backdrop.contracts import Batch"),
        ("lightning_modules.segmentation", "from lightning_modules.losses import priors\nimport pytorch_lightning"),
        ("experiments.cli", "import callbacks, datamodules, lightning_modules"),
        ("backdrop.loading", "from datamodules.readers import VideoFrames"),
        ("backdrop.loading", "from experiments.prediction.predictor import load_predictor"),
        ("callbacks.scores", "import torchmetrics, wandb, callbacks.sheet"),
    ],
)
def test_a_right_arrow_passes(module: str, source: str) -> None:
    assert not wrong(source, module)
