"""Fixtures that span rooms: no account, no network, caches and runs in temporary folders.

Helpers are imported as ``tests.fake_data``: the project's folder is on the path of every test (pyproject.toml).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import fake_data

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["WANDB_MODE"] = "disabled"
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"  # Lightning's calls, not ours
MAKE = (
    "MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES DATA PROFILE RUN SEED ROOT CLIPS RESOLUTION PRESET BACKGROUND HELD_OUT "
    "STEPS EPOCHS ARGS INPAINT_ARGS SWEEP PROCESSES INPUT OUTPUT METHOD"
)
OURS = ("WANDB_API_KEY", "NETRC", "BACKDROP_DEBUG", "BACKDROP_PROGRAM", "BACKDROP_COMMAND")
for name in (*OURS, *MAKE.split()):  # `make test ARGS=…` hands its own ARGS on
    os.environ.pop(name, None)

ROOT = Path(__file__).resolve().parent.parent
FitArguments = Callable[..., list[str]]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The frame store is a folder of this session."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKDROP_CACHE", str(folder))
        patch.setattr(sys, "argv", sys.argv[:1])  # what pytest was called with is no option of ours
        yield folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny data set in the layout of DAVIS."""
    return fake_data.write_davis(tmp_path_factory.mktemp("davis"))


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny set of a user's own recordings."""
    return fake_data.write_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="session")
def data_root(davis: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of tiny data in one layout, written when it is first asked for."""
    roots = {"davis": davis, "videos": videos}

    def find(layout: str) -> Path:
        if layout not in roots:
            roots[layout] = fake_data.LAYOUTS[layout](tmp_path_factory.mktemp(layout))
        return roots[layout]

    return find


@pytest.fixture(scope="session")
def fit_arguments(data_root: Callable[[str], Path]) -> FitArguments:
    """Arguments of ``fit`` for one stage, shrunk to two steps on tiny data."""

    def arguments(
        run: Path, stage: str, *more: str, data: str = "davis", layout: str | None = None, profile: str = "small"
    ) -> list[str]:
        if data == "demo":
            source = [f"--data.init_args.{key}={n}" for key, n in DEMO_COUNTS.items()]
        elif data in fake_data.LAYOUTS:
            source = [f"--data.init_args.root={data_root(layout or data)}"]
        else:
            pytest.fail(f"configs/data/{data}.yaml is new: give it tiny data in tests/fake_data.py")
        found = ["fit", f"--stage={stage}", f"--data={data}", f"--profile={profile}", "--config=debug.yaml"]
        found += [*source, "--trainer.accelerator=cpu"]
        found += ["--model.init_args.reconstruction.perceptual_net=null", f"--trainer.default_root_dir={run / stage}"]
        if stage == "segment":
            found += [f"--model.init_args.{name}.weights=null" for name in ("detector", "segmenter.init_args")]
            found += ["--model.init_args.segmenter.init_args.crop_size=[64, 64]"]
            found += [f"--model.init_args.inpainter_ckpt={run}/inpaint/checkpoints/last.ckpt"]
        return [*found, *more]

    return arguments


DEMO_COUNTS = {"train_clips": 1, "val_clips": 1, "test_clips": 1, "frames_per_clip": 4}


@pytest.fixture(scope="session")
def trained(fit_arguments: FitArguments, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with both stages trained for two steps; do not write into it."""
    from experiments.cli import main

    run = tmp_path_factory.mktemp("runs") / "tiny"
    for stage in ("inpaint", "segment"):
        assert main(fit_arguments(run, stage)) == 0
    return run
