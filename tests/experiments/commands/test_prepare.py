from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules.store.store import FrameStore
from experiments.benchmarks import footage
from experiments.benchmarks.growth import storing_memory
from experiments.cli import main
from experiments.commands.prepare import prepare
from experiments.signatures import understand
from tests import fake_data

FitArguments = Callable[..., list[str]]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BACKDROP_CACHE", str(tmp_path / "store"))
    return tmp_path / "store"


def test_what_is_prepared_is_not_decoded_by_fit(
    store: Path,
    tmp_path: Path,
    fit_arguments: FitArguments,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fit = fit_arguments(tmp_path, "inpaint")
    assert main(["prepare", *fit[1:]]) == 0
    assert f"DavisDataModule: 3 clips, 18 frames, 0.2 MB (raw) in {store}\n" in capsys.readouterr().out
    assert len(list(store.glob("*/entry.json"))) == 3
    monkeypatch.setattr(FrameStore, "write", lambda *_, **__: pytest.fail("decoded again"))
    assert main(fit) == 0


def test_fit_prepares_what_is_not(store: Path, tmp_path: Path, fit_arguments: FitArguments) -> None:
    assert main(fit_arguments(tmp_path, "inpaint")) == 0
    assert len(list(store.glob("*/entry.json"))) == 2  # a clip to train on, one to validate on, none to test on


def test_only_the_data_need_be_described(store: Path, videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", "data/videos.yaml", "--data.init_args.root", str(videos), "--trainer.max_steps=3"]
    more = ["--data.init_args.store_dir", str(store / "deeper")]
    parser, options, _ = understand("prepare", prepare, [*arguments, *more])
    data = parser.instantiate_classes(options).data
    assert data.store.folder == store / "deeper"  # type: ignore[attr-defined]
    assert main(["prepare", "--data=VideosDataModule", f"--data.root={videos}", "--data.image_size=[48, 64]"]) == 0
    assert "VideosDataModule: 3 clips, 12 frames" in capsys.readouterr().out


def test_what_is_skipped_is_told(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fake_data.write_davis(tmp_path / "DAVIS")
    (root / "JPEGImages" / "480p" / "bear" / "00002.jpg").write_bytes(b"nothing")
    assert main(["prepare", "--config=data/davis.yaml", f"--data.init_args.root={root}"]) == 0
    (problems,) = store.glob("problems-davis-*.csv")
    assert f"17 frames, 11.8 MB (raw) in {store}; 1 frame skipped in 1 clip: see {problems}" in capsys.readouterr().out
    assert "bear,2," in problems.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=data/davis.yaml", "--data.init_args.root=/nowhere"], "No folder at /nowhere"),
        (["--config=data/none.yaml"], "There is no config data/none.yaml"),
        (["--config=data/demo.yaml", "--data.init_args.train_clipz=2"], "'train_clipz' is not accepted"),
        (["--data=LightningDataModule"], "LightningDataModule keeps no frames in the store"),
        ([], "data"),
    ],
)
def test_a_failure_is_one_sentence(
    store: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", *arguments]) in (1, 2)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and message in lines[0]


def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, fit_arguments: FitArguments, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("BACKDROP_CACHE", str(tmp_path / "file"))
    assert main(fit_arguments(tmp_path, "inpaint")) == 1
    assert f"error: Cannot write into {tmp_path / 'file'}" in capsys.readouterr().err


def sums(store: Path) -> dict[str, str]:
    """Check sum of every file of every entry."""
    found = {}
    for path in sorted(store.glob("[!.]*/*")):
        with path.open("rb") as file:
            found[str(path.relative_to(store))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


@pytest.mark.slow
def test_five_minutes_of_full_hd_survive_a_kill_in_constant_memory(tmp_path: Path, root: Path) -> None:
    """Two undisturbed decodings and a half; 2.6 GB on disk."""
    frames, size = 7500, (180, 320)
    footage.encode(tmp_path / "part.mp4", footage.RATE * 10, (1080, 1920))
    video = tmp_path / "walk.mp4"
    footage.repeat(tmp_path / "part.mp4", video, 30)

    calm, store = tmp_path / "calm", tmp_path / "store"
    memory = storing_memory(calm, video, size)
    assert len(memory) == 10 and max(memory) - memory[0] < 32 * 2**20  # 1.3 GB of frames went through

    data = ["--data=VideosDataModule", f"--data.root={video}", f"--data.image_size={list(size)}"]
    data += ["--data.store_codec=raw", f"--data.store_dir={store}"]
    command = [sys.executable, "-m", "experiments", "prepare", *data]
    killed = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    half = frames // 2 * size[0] * size[1] * 3
    while killed.poll() is None and sum(path.stat().st_size for path in store.glob(".part-*/frames.bin")) < half:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL and sums(store) == {}

    again = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert f"1 clip, {frames} frames, 1.3 GB (raw) in {store}" in again.stdout
    assert sums(store) == sums(calm) and len(sums(store)) == 3
    assert not list(store.glob(".part-*"))
