from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import mmap
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from datamodules.readers import VideoFrames
from datamodules.store.codecs import encode
from experiments.benchmarks import benchmark, decoding, footage, formats, growth, loading
from experiments.cli import main

SIZE = (36, 64)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = benchmark.speeds

    def small(*arguments: object, **settings: object) -> dict[str, object]:
        return whole(*arguments, **settings, video_size=(72, 128))  # type: ignore[arg-type]

    monkeypatch.setattr(benchmark, "speeds", small)
    monkeypatch.setattr(benchmark, "VIDEO_SIZE", (72, 128))
    monkeypatch.setattr(benchmark, "LONG_LENGTHS", (8, 40))
    monkeypatch.setattr(benchmark, "LONG_VIDEO", (10, 3))


@pytest.mark.usefixtures("tiny")
def test_every_way_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "numbers.json"
    options = ["--frames=24", "--size", "36", "64", "--batch=4", "--workers=1", "--rounds=2", "--long"]
    assert main(["benchmark", "data", *options, f"--output={output}", f"--folder={tmp_path}"]) == 0
    results = json.loads(output.read_text())
    speeds = results["speeds"]
    assert len(speeds) == 14 and speeds["JPEG folder"]["ratio"] == speeds["JPEG folder, cold"]["ratio"] == 1
    for name, numbers in speeds.items():
        assert ("torchcodec" in name and "missing" in numbers) or numbers["frames_per_second"] > 0
    assert set(results["memory"]["loading"]) == {"8", "40"} and len(results["memory"]["storing"]) == 10
    assert results["settings"]["size"] == [36, 64] and "benchmark data --frames=24" in results["command"]
    shown = capsys.readouterr().out
    assert all(name in shown for name in speeds) and "after an epoch" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.json"]


def test_all_ways_load_the_same_frames(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    footage.encode(video, 12, (72, 128))
    truth = [image for _, image in VideoFrames(video).frames(SIZE)]
    assert len(truth) == 12 and np.ptp(truth[0]) > 100
    clip = loading.write_store(tmp_path / "store", VideoFrames(video), SIZE, "jpeg")
    paths = loading.write_folder(tmp_path / "images", VideoFrames(video), SIZE)
    stored = sorted(clip.read(range(12)).reshape(12, -1).tolist())
    for loader in (loading.store_loader(clip, 4, 0), loading.folder_loader(paths, 4, 0)):
        batches = [batch["image"] if isinstance(batch, dict) else batch for batch in loader]
        frames = np.concatenate([batch.permute(0, 2, 3, 1).numpy() for batch in batches])
        assert sorted(frames.reshape(12, -1).tolist()) == stored
    as_float = loading.folder_loader(paths, 4, 0, as_float=True)
    assert all(batch.max() <= 1 and batch.is_floating_point() for batch in as_float)
    for decode in (decoding.pyav_in_order, decoding.opencv_in_order):
        frames = [f[1] if isinstance(f, tuple) else f for f in decode(video, SIZE)]
        assert len(frames) == 12 and np.abs(np.array(frames).astype(int) - truth).mean() < 6
    for opener in (decoding.pyav_reader, decoding.opencv_reader):
        dataset = decoding.VideoDataset(video, SIZE, 12, opener)
        for number in (7, 0, 11, 3):  # backwards, too
            frame = dataset[number].permute(1, 2, 0).numpy().astype(int)
            distance = [np.abs(frame - image).mean() for image in truth]
            assert int(np.argmin(distance)) == number and min(distance) < 6
        some = list(loading.video_loader(video, SIZE, 12, opener, 2, 0))
        assert [batch.shape for batch in some] == [(2, 3, *SIZE)] * 4  # not all twelve


def test_a_repeated_video_is_its_frames_again(tmp_path: Path) -> None:
    footage.encode(tmp_path / "one.mp4", 8, (72, 128))
    footage.repeat(tmp_path / "one.mp4", tmp_path / "three.mp4", 3)
    once, thrice = ([image for _, image in VideoFrames(tmp_path / f"{name}.mp4").frames()] for name in ("one", "three"))
    assert len(VideoFrames(tmp_path / "three.mp4")) == 24 and np.array_equal(once * 3, thrice)


@pytest.mark.parametrize(
    ("error", "shown"), [(ImportError("none"), "not installed"), (RuntimeError("no libavutil"), "finds no FFmpeg")]
)
def test_a_missing_package_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, shown: str
) -> None:
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> ModuleType:
        if name.startswith("torchcodec"):
            raise error
        return real(name, package)

    monkeypatch.setattr("experiments.benchmarks.decoding.importlib.import_module", missing)
    found = benchmark.speeds(tmp_path, SIZE, frames=8, batch=4, workers=0, rounds=1, video_size=(72, 128))
    assert found["video, torchcodec"] == found["video, torchcodec, in order, no loader"] == {"missing": shown}
    results = {"settings": {"size": SIZE, "batch": 4, "workers": 0, "frames": 8}, "speeds": found}
    assert shown in [line.cells[1].text for line in benchmark.table(results).rows]


def test_every_format_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--frames=24", "--size", "36", "64", "--batch=4", "--workers=1", "--rounds=1"]
    assert main(["benchmark", "stores", *options, f"--folder={tmp_path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("store, raw", "store, jpeg", "JPEG folder", "memory-mapped", "WebDataset", "litdata"):
        assert any(name in line for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_every_worker_of_every_format_has_a_batch_to_time(tmp_path: Path) -> None:
    records = [encode(image, "jpeg").tobytes() for _, image in footage.DrawnFootage(16, SIZE).frames()]
    for name, write in (("webdataset", formats.webdataset_loader), ("litdata", formats.litdata_loader)):
        if importlib.util.find_spec(name) is not None:
            assert len(list(write(tmp_path / name, records, 2, 4))) == 8


def test_too_few_frames_for_the_workers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for what, least in (("data", 40), ("stores", 64)):
        assert main(["benchmark", what, f"--frames={least - 1}", "--batch=4", "--workers=8"]) == 2
        assert f"at least {least // 4} batches" in capsys.readouterr().err


def test_all_formats_hold_the_same_frames(tmp_path: Path) -> None:
    source = footage.DrawnFootage(12, SIZE)
    drawn = [image for _, image in source.frames()]
    records = [encode(image, "jpeg").tobytes() for image in drawn]
    loaders = [(formats.mapped_loader(tmp_path / "mapped.bin", drawn, SIZE, 4, 0), drawn)]
    decoded = [formats._decoded(record).permute(1, 2, 0).numpy() for record in records]
    for name, write in (("webdataset", formats.webdataset_loader), ("litdata", formats.litdata_loader)):
        if importlib.util.find_spec(name) is not None:
            loaders.append((write(tmp_path / name, records, 4, 0), decoded))
        else:
            with pytest.raises(decoding.Missing, match="not installed: pip install"):
                write(tmp_path / name, records, 4, 0)
    for loader, truth in loaders:
        frames = np.concatenate([batch.permute(0, 2, 3, 1).numpy() for batch in loader])
        assert sorted(frames.reshape(12, -1).tolist()) == sorted(np.reshape(truth, (12, -1)).tolist())


def test_the_ratio_is_taken_within_a_round() -> None:
    rounds = [{"JPEG folder": base, "store": value} for base, value in ((10.0, 30.0), (100.0, 200.0), (50.0, 125.0))]
    found = benchmark._medians(benchmark.Way("store", lambda: None), rounds)
    assert found == {"frames_per_second": 125.0, "ratio": 2.5}


def test_own_memory_counts_what_is_held() -> None:
    gc.collect()  # what earlier tests left behind must not go in between
    before, page = growth.own_memory(), bytes(2**20)
    with mmap.mmap(-1, 2**26, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:  # an allocator may use old memory again
        for _ in range(64):
            held.write(page)
        assert growth.own_memory() - before > 0.9 * 2**26


def test_memory_is_compared_after_the_stores_are_gone(tmp_path: Path) -> None:
    found = growth.loading_memory(tmp_path, (8, 16), SIZE, 4, 0)
    assert list(found) == [8, 16] and all(size > 0 for size in found.values())
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    """A hundred times the frames: 7 MB, then 690 MB on disk."""
    found = growth.loading_memory(tmp_path, (1_000, 100_000), SIZE, 16, 2)
    assert found[100_000] - found[1_000] < 32 * 2**20


@pytest.mark.parametrize("wrong", [["--frames=10"], ["--rounds=0"], ["--size", "0", "64"], ["--workers=-1"]])
def test_wrong_numbers_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "data", *wrong]) == 2
    assert "must be positive" in capsys.readouterr().err
    assert main(["benchmark", "gpu"]) == 2
