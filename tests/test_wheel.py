"""The wheel: built, installed without the checkout, and used from another folder, from videos to masks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backdrop.trusted import ROOMS
from tests.fake_data import write_video

Run = Callable[..., subprocess.CompletedProcess[str]]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", *ROOMS)


def test_the_name_is_the_one_that_the_version_is_asked_of(root: Path) -> None:
    name = tomllib.loads((root / "pyproject.toml").read_text())["project"]["name"]
    assert f'version("{name}")' in (root / "backdrop" / "__init__.py").read_text()


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy: setuptools leaves its work beside the sources."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        path = root / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, source / name)
    command = [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--quiet", "--wheel-dir", str(built)]
    subprocess.run(command, check=True, timeout=300)
    (found,) = built.iterdir()
    return found


@pytest.fixture(scope="module")
def backdrop(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The installed command, in an environment whose other packages are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # pip looks there too
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = ["--python", str(python), "install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, timeout=300, env=environment)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")  # its own .pth files are not read

    def run(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
        command = [str(python.with_name("backdrop")), *map(str, words)]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
        )

    return run


@pytest.mark.slow
def test_the_wheel_holds_what_is_used_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name.startswith("backdrop_seg-")
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == set(ROOMS)
    assert {f"{room}/py.typed" for room in ROOMS} <= set(names)
    assert {"experiments/configs/base.yaml", "experiments/configs/profiles/small/cues.yaml"} <= set(names)
    assert {"experiments/sweeps/each.yaml", "experiments/reporting/pages/page.html"} <= set(names)


@pytest.mark.slow
def test_from_videos_to_masks_outside_the_checkout(backdrop: Run, tmp_path: Path) -> None:
    """In a folder that has packages of the same names, as the projects of many have."""
    for room in ("callbacks", "experiments"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    for number in range(2):
        write_video(tmp_path / "videos" / f"clip{number}.mp4", number)
    assert re.fullmatch(r"backdrop \d+\.\d+\.\d+\n", backdrop("--version", folder=tmp_path).stdout)
    assert backdrop("--help", folder=tmp_path).stdout.startswith("usage: backdrop COMMAND")
    more = ["--", "--config=debug.yaml", "--data.init_args.target_features=none"]
    trained = backdrop("train", "videos", "--run", "runs/mine", "--steps", 2, *more, folder=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "next: backdrop predict runs/mine videos" in trained.stdout
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    video, output = tmp_path / "videos" / "clip0.mp4", elsewhere / "out"
    done = backdrop("predict", tmp_path / "runs" / "mine", video, "--output", output, folder=elsewhere)
    assert done.returncode == 0, done.stderr
    assert list(output.rglob("*.png"))
